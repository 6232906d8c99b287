//! What is done to a link while it is in use, and undone.

/// A way to lose a network. It is the client who loses it; the server's end stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Carrier gone; addresses and routes stay.
    CarrierOnly,
    /// Carrier, addresses and routes gone, as a network manager does it.
    Carrier,
    /// The interface is set down.
    Admin,
    /// The client's address is removed, and with it the routes that need it.
    Address,
    /// The client's default routes over this link are removed.
    Route,
    /// The interface is deleted; mending makes another of the same name.
    Deleted,
    /// Nothing crosses, and nobody is told.
    Silent(Way),
}

/// A direction, seen from the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
    /// Both.
    Both,
}
