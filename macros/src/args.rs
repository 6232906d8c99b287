//! The words between an attribute's brackets.

use proc_macro2::{Span, TokenStream};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Error, Ident, Lit, LitInt, LitStr, Path, Result, Token};

/// `name` or `name = value`.
pub(crate) struct Arg {
    name: Ident,
    value: Option<Value>,
}

enum Value {
    Lit(Lit),
    Path(Path),
}

impl Parse for Arg {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let name = input.call(Ident::parse_any)?;
        let value = match input.parse::<Option<Token![=]>>()? {
            None => None,
            Some(_) if input.peek(Lit) => Some(Value::Lit(input.parse()?)),
            Some(_) => Some(Value::Path(input.call(Path::parse_mod_style)?)),
        };
        Ok(Arg { name, value })
    }
}

/// Parses the list; each name is known and given once.
pub(crate) fn parse(args: TokenStream, known: &[&str]) -> Result<Vec<Arg>> {
    let args = Punctuated::<Arg, Token![,]>::parse_terminated.parse2(args)?;
    let mut seen: Vec<Ident> = Vec::new();
    for Arg { name, .. } in &args {
        if !known.contains(&name.to_string().as_str()) {
            let known = known.join("`, `");
            let message = format!("unknown argument `{name}`, known are `{known}`");
            return Err(Error::new(name.span(), message));
        }
        if seen.contains(name) {
            return Err(Error::new(name.span(), format!("`{name}` is given twice")));
        }
        seen.push(name.clone());
    }
    Ok(args.into_iter().collect())
}

impl Arg {
    pub(crate) fn name(&self) -> String {
        self.name.to_string()
    }

    pub(crate) fn span(&self) -> Span {
        self.name.span()
    }

    /// A word that takes no value.
    pub(crate) fn flag(&self) -> Result<()> {
        match &self.value {
            None => Ok(()),
            Some(value) => Err(Error::new(value.span(), "this argument takes no value")),
        }
    }

    pub(crate) fn string(&self) -> Result<&LitStr> {
        match &self.value {
            Some(Value::Lit(Lit::Str(text))) => Ok(text),
            _ => Err(self.expected("a string")),
        }
    }

    /// A number above zero.
    pub(crate) fn count(&self) -> Result<&LitInt> {
        match &self.value {
            Some(Value::Lit(Lit::Int(number))) if number.base10_parse::<usize>()? > 0 => Ok(number),
            _ => Err(self.expected("a number above zero")),
        }
    }

    /// A path, as it is or in a string.
    pub(crate) fn path(&self) -> Result<Path> {
        match &self.value {
            Some(Value::Path(path)) => Ok(path.clone()),
            Some(Value::Lit(Lit::Str(text))) => text.parse_with(Path::parse_mod_style),
            _ => Err(self.expected("a path")),
        }
    }

    /// A string of one of these.
    pub(crate) fn word<'a>(&self, known: &[&'a str]) -> Result<&'a str> {
        let text = self.string()?;
        let found = known.iter().find(|word| **word == text.value());
        let quoted: Vec<_> = known.iter().map(|word| format!("\"{word}\"")).collect();
        let message = format!("expected {}", quoted.join(" or "));
        found
            .copied()
            .ok_or_else(|| Error::new(text.span(), message))
    }

    /// A string as in `5s`, in milliseconds.
    pub(crate) fn millis(&self) -> Result<u64> {
        let text = self.string()?;
        let value = text.value();
        let digits = value.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = match &value[digits.len()..] {
            "ms" => Some(1),
            "s" => Some(1_000),
            "m" => Some(60_000),
            _ => None,
        };
        let number = digits.bytes().all(|b| b.is_ascii_digit());
        let number = number.then(|| digits.parse::<u64>().ok()).flatten();
        let millis = unit.zip(number).and_then(|(unit, n)| n.checked_mul(unit));
        let message = "expected a duration as in \"5s\", \"500ms\" or \"1m\"";
        millis.ok_or_else(|| Error::new(text.span(), message))
    }

    fn expected(&self, what: &str) -> Error {
        let span = self.value.as_ref().map_or(self.name.span(), Value::span);
        Error::new(span, format!("`{}` expects {what}", self.name))
    }
}

impl Value {
    fn span(&self) -> Span {
        match self {
            Value::Lit(lit) => lit.span(),
            Value::Path(path) => path.span(),
        }
    }
}
