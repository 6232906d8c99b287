#[mancom::main]
async fn main() -> Result<(), mancom::Error> {
    "any".parse::<mancom::Label>()?;
    7
}
