//! Every argument of `main`, with every kind of result, none of it worth a warning.
#![deny(warnings)]

#[mancom::main(
    flavor = "multi_thread",
    worker_threads = 2,
    scout = "none",
    shutdown = "500ms",
    crate = mancom,
)]
async fn main() -> Result<(), mancom::Error> {
    assert!(mancom::Manager::current()?.snapshot().is_complete());
    // A thread of their own, for a runtime cannot be started inside one.
    let others = std::thread::spawn(|| {
        nothing();
        nested::wherever();
        number()
    });
    assert_eq!(others.join().unwrap(), 7);
    Ok(())
}

/// Any function will do, documented and with lints of its own.
#[mancom::main(flavor = "current_thread", scout = "none")]
#[allow(unused_variables)]
async fn nothing() {
    let unused = 1;
}

#[mancom::main(flavor = "current_thread", scout = "none", crate = "::mancom")]
async fn number() -> u8 {
    std::future::ready(7).await
}

mod nested {
    use mancom as renamed;

    #[renamed::main(scout = "system", crate = renamed)]
    pub async fn wherever() {}
}
