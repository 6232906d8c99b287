//! The attribute macros of mancom. Their documentation is in the crate `mancom`, which exports them.
//!
//! An expansion keeps the function as it is written, inside one of the same name that is not async, and
//! hands its future to a function of `mancom::__private`. All that happens is decided there.

mod args;
mod entry;

use proc_macro::TokenStream;

/// See `mancom::main`.
#[proc_macro_attribute]
pub fn main(args: TokenStream, item: TokenStream) -> TokenStream {
    entry::main(args.into(), item.into()).into()
}

/// See `mancom::test`.
#[proc_macro_attribute]
pub fn test(args: TokenStream, item: TokenStream) -> TokenStream {
    entry::test(args.into(), item.into()).into()
}
