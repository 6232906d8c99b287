//! `#[main]` and `#[test]`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, FnArg, ItemFn, Path, Result, Visibility, parse_quote};

use crate::args::{self, Arg};

const MAIN: [&str; 6] = [
    "flavor",
    "worker_threads",
    "config",
    "scout",
    "shutdown",
    "crate",
];
const TEST: [&str; 2] = ["real", "crate"];

pub(crate) fn main(args: TokenStream, item: TokenStream) -> TokenStream {
    expand(quote!(), item, |function| {
        plain(function, "main")?;
        if let Some(input) = function.sig.inputs.first() {
            return Err(Error::new(input.span(), "the function takes no arguments"));
        }
        let Settings { krate, calls } = settings(args)?;
        let name = &function.sig.ident;
        Ok(quote! {
            #krate::__private::main(#krate::__private::Main::default() #calls, #name())
        })
    })
}

pub(crate) fn test(args: TokenStream, item: TokenStream) -> TokenStream {
    let attribute = quote!(#[::core::prelude::v1::test]);
    expand(attribute, item, |function| {
        plain(function, "test")?;
        if let Some(test) = function.attrs.iter().find(|a| a.path().is_ident("test")) {
            let message = "`#[mancom::test]` adds `#[test]`: remove this one";
            return Err(Error::new(test.span(), message));
        }
        let mut krate: Path = parse_quote!(::mancom);
        let mut real = false;
        for arg in args::parse(args, &TEST)? {
            match arg.name().as_str() {
                "real" => real = arg.flag().map(|()| true)?,
                _ => krate = arg.path()?,
            }
        }
        let name = &function.sig.ident;
        let mut inputs = function.sig.inputs.iter();
        match (inputs.next(), inputs.next()) {
            (None, _) if real => Ok(quote!(#krate::__private::test_real(#name()))),
            (None, _) => Ok(quote!(#krate::__private::test(|_| #name()))),
            (Some(input), _) if real => {
                let message = "`real` has no scripted networks: remove this argument";
                Err(Error::new(input.span(), message))
            }
            (Some(_), Some(second)) => {
                let message = "at most one argument: `networks: mancom::testing::Networks`";
                Err(Error::new(second.span(), message))
            }
            // Spanned at the argument, for that is what a mismatch is about.
            (Some(FnArg::Typed(input)), None) => {
                let name = quote_spanned!(input.ty.span()=> #name);
                Ok(quote!(#krate::__private::test(#name)))
            }
            (Some(input), None) => Err(Error::new(input.span(), "a test has no `self`")),
        }
    })
}

/// The function that is not async, with one attribute more, around the one that is. On an error the
/// outer one stays with a body that is never run, so that no second complaint ("no `main`") follows.
fn expand(
    attribute: TokenStream,
    item: TokenStream,
    call: impl FnOnce(&ItemFn) -> Result<TokenStream>,
) -> TokenStream {
    let mut function: ItemFn = match syn::parse2(item.clone()) {
        Ok(function) => function,
        Err(error) => {
            let error = error.into_compile_error();
            return quote!(#error #item);
        }
    };
    let body = call(&function);
    let attributes = std::mem::take(&mut function.attrs);
    let visibility = std::mem::replace(&mut function.vis, Visibility::Inherited);
    let (name, output) = (&function.sig.ident, &function.sig.output);
    match body {
        Ok(body) => quote! {
            #attribute
            #(#attributes)*
            #visibility fn #name() #output {
                #function

                #body
            }
        },
        Err(error) => {
            let error = error.into_compile_error();
            quote! {
                #visibility fn #name() #output {
                    #error
                    ::core::unreachable!()
                }
            }
        }
    }
}

/// Async, and nothing else that has no meaning here.
fn plain(function: &ItemFn, attribute: &str) -> Result<()> {
    let signature = &function.sig;
    if signature.asyncness.is_none() {
        let message = format!("`#[mancom::{attribute}]` runs an `async fn`: add `async` here");
        return Err(Error::new(signature.fn_token.span, message));
    }
    if !signature.generics.params.is_empty() {
        let message = "the function cannot be generic";
        return Err(Error::new(signature.generics.span(), message));
    }
    Ok(())
}

/// What the arguments of `#[main]` come to.
struct Settings {
    krate: Path,
    /// Calls of the setters that were asked for.
    calls: TokenStream,
}

fn settings(args: TokenStream) -> Result<Settings> {
    let args = args::parse(args, &MAIN)?;
    let given = |name: &str| args.iter().find(|arg| arg.name() == name);
    let mut krate: Path = parse_quote!(::mancom);
    let mut calls = TokenStream::new();
    let flavour = match given("flavor") {
        Some(arg) => arg.word(&["multi_thread", "current_thread"])?,
        None => "multi_thread",
    };
    if flavour == "current_thread" {
        if let Some(threads) = given("worker_threads") {
            let message = "a `current_thread` runtime has no worker threads";
            return Err(Error::new(threads.span(), message));
        }
        calls.extend(quote!(.current_thread()));
    }
    for arg in &args {
        calls.extend(setting(arg, &mut krate)?);
    }
    Ok(Settings { krate, calls })
}

fn setting(arg: &Arg, krate: &mut Path) -> Result<TokenStream> {
    Ok(match arg.name().as_str() {
        "worker_threads" => {
            let threads = arg.count()?;
            quote!(.worker_threads(#threads))
        }
        "config" => {
            let file = arg.string()?;
            quote!(.config(#file))
        }
        "scout" => match arg.word(&["system", "none"])? {
            "none" => quote!(.without_networks()),
            _ => quote!(),
        },
        "shutdown" => {
            let millis = arg.millis()?;
            quote!(.shutdown_millis(#millis))
        }
        "crate" => {
            *krate = arg.path()?;
            quote!()
        }
        _ => quote!(),
    })
}
