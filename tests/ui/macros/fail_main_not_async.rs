#[mancom::main]
fn main() -> Result<(), mancom::Error> {
    Ok(())
}
