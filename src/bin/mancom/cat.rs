//! `mancom cat ENDPOINT`: stdin to a stream, the stream to stdout.
//!
//! ```text
//! stdin ──> stream ──> stdout of the other side      an end of either direction is passed on;
//! stdout <── stream <── stdin of the other side      the other goes on until its own end
//! ```
//!
//! Each path that comes or goes is a line on stderr. The end waits until the other side has
//! acknowledged everything and said its own end, so exit code 0 means that each has every byte.

use crate::exit::{Exit, Failure};
use crate::output::say;
use crate::patience::patiently;
use crate::{Global, duration, label};
use mancom::{Endpoint, Identity, Label, Manager, McStream, PublicKey};
use std::future::IntoFuture;
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{copy_bidirectional_with_sizes, join, stdin, stdout};

/// Join stdin and stdout to a stream that survives the loss of networks.
#[derive(Debug, clap::Args)]
#[command(after_help = crate::exit::HELP)]
pub(crate) struct Cat {
    /// Where to connect or listen: `mcs://host:7000`, `mc://host:7000`, `unix:/run/x.sock`, `tls://host:443`.
    endpoint: String,
    /// Listen at the endpoint, for exactly one stream.
    #[arg(long)]
    listen: bool,
    /// What the traffic needs of a network.
    #[arg(long, value_name = "LABEL", default_value = "any")]
    label: String,
    /// Allow a connection in clear beyond this host.
    #[arg(long)]
    plaintext: bool,
    /// How long the stream may be without any network, as 30, 10m or 12h.
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    grace: Option<Duration>,
    #[command(flatten)]
    tls: Tls,
}

/// Who both sides are, of `mcs://` and `tls://`; what is not said here is as the configuration says.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "TLS")]
struct Tls {
    /// Prove who we are with the private key in this file (PEM), as `mancom key new` makes it.
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// The certificates of the identity, where they are not in its file.
    #[arg(long, value_name = "FILE", requires = "identity")]
    certificate: Option<PathBuf>,
    /// Believe a far end with this public key, and with --listen let nobody else in; may be repeated.
    #[arg(long, value_name = "KEY")]
    pin: Vec<PublicKey>,
    /// Believe a far end with a certificate of an authority in this file (PEM).
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Believe the key that a far end shows first, keep it in this file, and believe no other later.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["listen", "pin", "ca"])]
    trust_first_use: Option<PathBuf>,
    /// Let in nobody who shows no key; any will do without --pin and --ca.
    #[arg(long, requires = "listen")]
    require_client: bool,
}

impl Tls {
    fn identity(&self) -> Result<Option<Identity>, mancom::Error> {
        let Some(key) = &self.identity else {
            return Ok(None);
        };
        let read = match &self.certificate {
            Some(certificate) => Identity::from_files(key, certificate),
            None => Identity::from_file(key),
        };
        Ok(Some(read?))
    }
}

/// What both builders are asked in the same words.
macro_rules! asked {
    ($tls:expr, $builder:expr) => {{
        let mut builder = $builder;
        if let Some(identity) = $tls.identity()? {
            builder = builder.identity(&identity);
        }
        for pin in &$tls.pin {
            builder = builder.pin(*pin);
        }
        if let Some(file) = &$tls.ca {
            builder = builder.ca(file);
        }
        builder
    }};
}

/// Bytes in one read of either side.
const CHUNK: usize = 64 * 1024;
/// How long the other side is waited for after everything has arrived: it may not know that yet, and would wait
/// in vain, while the network is dark for ten seconds just then.
const GOODBYE: Duration = Duration::from_secs(15);
/// Over Airhook a link bears 30 dark seconds, and then the session answers for three more.
const GOODBYE_BY_AIRHOOK: Duration = Duration::from_secs(35);
/// How long an end before its time may take to tell the other side, which would take what it has for all.
const ABORTED: Duration = Duration::from_secs(1);

impl Cat {
    pub(crate) async fn run(&self, global: &Global) -> Result<Exit, Failure> {
        let endpoint: Endpoint = self
            .endpoint
            .parse()
            .map_err(|error| Failure::new(Exit::Usage, mancom::Error::from(error)))?;
        if self.tls.trust_first_use.is_some() && endpoint.has("pin") {
            let text = "--trust-first-use believes any key at first: it does not go with `pin=KEY`";
            return Err(Failure::new(Exit::Usage, text.to_owned()));
        }
        let goodbye = match endpoint.carrier() {
            "airhook" => GOODBYE_BY_AIRHOOK,
            _ => GOODBYE,
        };
        let manager = global.lasting_manager().await?;
        let label = label::parse(&self.label, |name| manager.label(name))?;
        let stream = if self.listen {
            self.accept(&manager, endpoint, label).await?
        } else {
            self.connect(&manager, endpoint, label).await?
        };
        if let Some(peer) = stream.session().peer() {
            say(format_args!("the other side is {peer}"));
        }
        tell_of_paths(&stream);
        if let Err(error) = carry(stream).await {
            let _ = manager.shutdown(ABORTED).await;
            return Err(error.into());
        }
        // The bytes are where they belong; what is left is only a courtesy to the other side.
        let _ = manager.shutdown(goodbye).await;
        Ok(Exit::Fine)
    }

    async fn connect(
        &self,
        manager: &Manager,
        to: Endpoint,
        label: Label,
    ) -> Result<McStream, mancom::Error> {
        let mut connect = manager.connect(to).label(label);
        if let Some(grace) = self.grace {
            connect = connect.grace(grace);
        }
        if self.plaintext {
            connect = connect.plaintext();
        }
        connect = asked!(self.tls, connect);
        if let Some(file) = &self.tls.trust_first_use {
            connect = connect.trust_first_use(file);
        }
        Ok(patiently(connect.into_future()).await?)
    }

    async fn accept(
        &self,
        manager: &Manager,
        at: Endpoint,
        label: Label,
    ) -> Result<McStream, mancom::Error> {
        let mut listen = manager.listen(at);
        // A label on a listener restricts where it listens: only one that says something is given.
        if label != Label::ANY {
            listen = listen.label(label);
        }
        if let Some(grace) = self.grace {
            listen = listen.grace(grace);
        }
        if self.plaintext {
            listen = listen.plaintext();
        }
        listen = asked!(self.tls, listen);
        if self.tls.require_client {
            listen = listen.require_client();
        }
        let listener = listen.await?;
        say(format_args!("listening at {}", listener.contact()));
        let stream = listener.accept().await?;
        // The listener stays, for the stream's later paths; whoever else comes is told so at once.
        tokio::spawn(async move {
            while let Ok(other) = listener.accept().await {
                say("refused a second stream");
                other.abort();
            }
        });
        Ok(stream)
    }
}

/// Both directions until both have ended, or until a signal.
async fn carry(mut stream: McStream) -> Result<(), mancom::Error> {
    let mut terminal = join(stdin(), stdout());
    let ended = tokio::select! {
        copied = copy_bidirectional_with_sizes(&mut terminal, &mut stream, CHUNK, CHUNK) => {
            copied.map(drop)
        }
        _ = crate::signals::ended() => {
            Err(io::Error::new(io::ErrorKind::Interrupted, "interrupted"))
        }
    };
    if ended.is_err() {
        // The other side must not wait for bytes that will never come.
        stream.abort();
    }
    Ok(ended?)
}

/// A line on stderr for each path that comes or goes, as long as the stream lives.
fn tell_of_paths(stream: &McStream) {
    let mut events = stream.events();
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            say(format_args!("{event}"));
        }
    });
}
