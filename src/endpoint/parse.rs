//! Reading an endpoint's text.

use std::net::{IpAddr, Ipv6Addr};

use super::{
    Attributes, Endpoint, EndpointError, EndpointFault as Fault, Host, MAX_ATTRIBUTES, MAX_TEXT,
    Place, Shape, beneath,
};

/// Bytes of a host name (RFC 1035 section 2.3.4, in text).
const MAX_HOST: usize = 253;

/// A fault and the part of the text it is about.
type Found<'a, T> = Result<T, (&'a str, Fault)>;

pub(super) fn endpoint(text: &str) -> Result<Endpoint, EndpointError> {
    if text.len() > MAX_TEXT {
        return Err(EndpointError::new(text, None, Fault::TooLong));
    }
    let found = read(text).map_err(|fault| located(text, fault))?;
    // What is encoded as it is printed may have become longer.
    found.bounded()
}

fn read(text: &str) -> Found<'_, Endpoint> {
    let blank = |c: char| c.is_ascii_control() || c == ' ';
    if let Some(at) = text.find(blank) {
        return Err((&text[at..], Fault::Blank));
    }
    if let Some(at) = text.find('#') {
        return Err((&text[at..], Fault::Fragment));
    }
    let (scheme, rest) = text.split_once(':').ok_or((text, Fault::NoScheme))?;
    let scheme = self::scheme(scheme)?;
    let (place, query) = match rest.find('?') {
        Some(at) => (&rest[..at], Some(&rest[at + 1..])),
        None => (rest, None),
    };
    let place = match (Shape::of(&scheme), place.strip_prefix("//")) {
        (Shape::Host, Some(authority)) => self::authority(&scheme, authority, false)?,
        (Shape::Host, None) => return Err((place, Fault::NoSlashes { scheme })),
        (Shape::Path, Some(path)) if path.starts_with('/') => Place::Path(decoded(path)?),
        (Shape::Path, Some(host)) => return Err((host, Fault::HostBeforePath { scheme })),
        (Shape::Path, None) => self::path(place)?,
        (Shape::Name, name) => self::name(&scheme, name.unwrap_or(place))?,
        (Shape::Any, Some(path)) if path.starts_with('/') => Place::Path(decoded(path)?),
        (Shape::Any, Some(authority)) => self::authority(&scheme, authority, true)?,
        (Shape::Any, None) => match self::path(place)? {
            // `localhost:7000`: a host and a port, and no scheme; however it is written.
            Place::Path(path) if is_number(&path) => return Err((text, Fault::NoScheme)),
            path => path,
        },
    };
    Ok(Endpoint {
        place,
        attributes: query.map_or(Ok(Attributes::new()), |query| attributes(query, '&'))?,
        scheme,
    })
}

/// RFC 3986 section 3.1; each part of a sum has at least a letter.
fn scheme(text: &str) -> Found<'_, String> {
    let is_part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b))
    };
    if !text.split('+').all(is_part) {
        return Err((text, Fault::NoScheme));
    }
    let scheme = text.to_ascii_lowercase();
    // `mc+mcs` would be a session in clear that looks like one in TLS.
    match beneath(&scheme).and_then(|sum| sum.split('+').next()) {
        Some("mc" | "mcs" | "tls") => Err((text, Fault::Layers { scheme })),
        _ => Ok(scheme),
    }
}

fn authority<'a>(scheme: &str, text: &'a str, allows_path: bool) -> Found<'a, Place> {
    let (authority, path) = text.split_at(text.find('/').unwrap_or(text.len()));
    if let Some(at) = authority.find('@') {
        return Err((&authority[at..], Fault::User));
    }
    // The colons of an address in brackets are not the port's.
    let end = match authority.find(']') {
        Some(bracket) => bracket + 1,
        None if authority.starts_with('[') => authority.len(),
        None => authority.rfind(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(end);
    let host = self::host(host).map_err(|fault| (host, fault))?;
    let ports = match port.strip_prefix(':') {
        Some(port) => Some(ports(port).ok_or((port, Fault::Port(cut(port))))?),
        None if port.is_empty() => None,
        None => return Err((port, Fault::Port(cut(port)))),
    };
    let decoded = match path {
        "" | "/" => String::new(),
        _ if allows_path => decoded(path)?,
        _ => {
            let scheme = scheme.to_owned();
            return Err((path, Fault::Path { scheme }));
        }
    };
    Ok(Place::Host {
        host,
        ports,
        path: decoded,
    })
}

/// A name, an IPv4 address, or an IPv6 address with or without brackets.
pub(super) fn host(text: &str) -> Result<Host, Fault> {
    if text.is_empty() {
        return Err(Fault::NoHost);
    }
    let fault = || Fault::Host(cut(text));
    if let Some(inner) = text.strip_prefix('[') {
        let inner = inner.strip_suffix(']').ok_or_else(fault)?;
        return match inner.parse::<Ipv6Addr>() {
            Ok(ip) => Ok(IpAddr::from(ip).into()),
            Err(_) if inner.contains('%') => Err(Fault::Zone),
            Err(_) => Err(fault()),
        };
    }
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(ip.into());
    }
    let is_name = text.len() <= MAX_HOST
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
        && !text.starts_with(['.', '-'])
        && !text.contains("..");
    // `10.0.0` and `1.2.3.256` would be looked up as names, which nobody means.
    let is_number = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if is_name && !is_number {
        Ok(Host {
            text: text.to_ascii_lowercase(),
            ip: None,
        })
    } else {
        Err(fault())
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn ports(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let port = |text: &str| {
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<u16>().ok()).flatten()
    };
    let (first, last) = (port(first)?, port(last)?);
    (first <= last).then_some((first, last))
}

fn path(text: &str) -> Found<'_, Place> {
    if text.is_empty() {
        return Err((text, Fault::NoPath));
    }
    decoded(text).map(Place::Path)
}

fn name<'a>(scheme: &str, text: &'a str) -> Found<'a, Place> {
    if text.is_empty() || text.contains('/') {
        let scheme = scheme.to_owned();
        return Err((text, Fault::Name { scheme }));
    }
    decoded(text).map(Place::Name)
}

/// Attributes on their own.
pub(super) fn attributes_of(text: &str, separator: char) -> Result<Attributes, EndpointError> {
    if text.len() > MAX_TEXT {
        return Err(EndpointError::new(text, None, Fault::TooLong));
    }
    let blank = |c: char| c.is_ascii_control() || c == ' ';
    let found = match text.find(blank) {
        Some(at) => Err((&text[at..], Fault::Blank)),
        None => attributes(text, separator),
    };
    let found = found.map_err(|fault| located(text, fault))?;
    match found.to_string().len() > MAX_TEXT {
        true => Err(EndpointError::new(text, None, Fault::TooLong)),
        false => Ok(found),
    }
}

/// A fault of a part of this text.
fn located(text: &str, (part, fault): (&str, Fault)) -> EndpointError {
    let offset = part.as_ptr() as usize - text.as_ptr() as usize;
    let column = text[..offset].chars().count() + 1;
    EndpointError::new(text, Some(column), fault)
}

fn attributes(query: &str, separator: char) -> Found<'_, Attributes> {
    let mut all = Attributes::new();
    if query.is_empty() {
        return Ok(all);
    }
    for term in query.split(separator) {
        let (name, value) = term.split_once('=').unwrap_or((term, ""));
        if name.is_empty() {
            return Err((term, Fault::NoAttributeName));
        }
        let key = decoded(name)?;
        if all.0.contains_key(&key) {
            return Err((term, Fault::Repeated(cut(&key))));
        }
        all.0.insert(key, decoded(value)?);
        if all.len() > MAX_ATTRIBUTES {
            return Err((term, Fault::TooManyAttributes));
        }
    }
    Ok(all)
}

/// Percent-decoding; `+` stays a plus.
fn decoded(text: &str) -> Found<'_, String> {
    let fault = (text, Fault::Encoding);
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|b| char::from(b).to_digit(16));
        match (digit(), digit()) {
            (Some(high), Some(low)) => bytes.push((high * 16 + low) as u8),
            _ => return Err(fault),
        }
    }
    match String::from_utf8(bytes) {
        Ok(decoded) if !decoded.contains('\0') => Ok(decoded),
        _ => Err(fault),
    }
}

fn cut(text: &str) -> String {
    text.chars().take(40).collect()
}
