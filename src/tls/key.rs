//! Public keys as text, and the base64 of them.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

/// Before the 32 bytes of an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410, section 4).
const ED25519: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// Who somebody is: a public key, or the hash of one. What is compared with it is the key that the other
/// side proves to hold, bare (RFC 7250) or in a certificate.
///
/// | text | is |
/// | --- | --- |
/// | `ed25519:` and 43 letters | an Ed25519 key, as `mancom key` makes them |
/// | `sha256:` and 43 letters | the SHA-256 of any key's SubjectPublicKeyInfo, as of a certificate |
///
/// The letters are base64 of 32 bytes, printed as `-_` without `=` so that they stand in URIs and file
/// names as they are; `+/` and a `=` at the end are read too. The second is what
/// `openssl x509 -pubkey -noout | openssl pkey -pubin -outform DER | openssl dgst -sha256 -binary | base64`
/// prints, and what `curl --pinnedpubkey` calls `sha256//`.
///
/// ```
/// use mancom::PublicKey;
///
/// let key: PublicKey = "ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".parse()?;
/// assert_eq!(key.to_string(), "ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
/// assert!("ed25519:11qYAYKxCrf".parse::<PublicKey>().is_err());
/// # Ok::<(), mancom::tls::KeyError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey(Form);

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Form {
    Ed25519([u8; 32]),
    Sha256([u8; 32]),
}

/// Why a text is no public key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// It says of no kind that is known.
    #[error("`{0}` is no public key: one begins with `ed25519:` or `sha256:`")]
    Kind(String),
    /// A letter that is none of base64.
    #[error("`{0}` is no letter of a public key's base64")]
    Letter(char),
    /// Not 32 bytes.
    #[error("a public key is 32 bytes, 43 letters of base64, and not {0} letters")]
    Length(usize),
}

impl PublicKey {
    /// That of a SubjectPublicKeyInfo in DER.
    pub(crate) fn of(spki: &[u8]) -> Self {
        let ed25519 = spki.strip_prefix(&ED25519);
        match ed25519.and_then(|key| key.try_into().ok()) {
            Some(key) => Self(Form::Ed25519(key)),
            None => Self(Form::Sha256(Sha256::digest(spki).into())),
        }
    }

    /// The hash that this and another form of one key have in common.
    fn hash(&self) -> [u8; 32] {
        match self.0 {
            Form::Sha256(hash) => hash,
            Form::Ed25519(key) => {
                let hash = Sha256::new().chain_update(ED25519).chain_update(key);
                hash.finalize().into()
            }
        }
    }

    /// Whether both are of one key, in whatever form.
    #[must_use]
    pub fn is_same(&self, other: &PublicKey) -> bool {
        self.hash() == other.hash()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, bytes) = match &self.0 {
            Form::Ed25519(key) => ("ed25519", key),
            Form::Sha256(hash) => ("sha256", hash),
        };
        write!(f, "{kind}:{}", encode(bytes, URL).trim_end_matches('='))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let form = match text.split_once(':') {
            Some(("ed25519", letters)) => Form::Ed25519(bytes(letters)?),
            Some(("sha256", letters)) => Form::Sha256(bytes(letters)?),
            _ => {
                let shown = text.chars().take(64).collect();
                return Err(KeyError::Kind(shown));
            }
        };
        Ok(Self(form))
    }
}

/// The 32 bytes that these letters stand for.
fn bytes(text: &str) -> Result<[u8; 32], KeyError> {
    let letters = text.strip_suffix('=').unwrap_or(text);
    let value = |letter: char| {
        let plain = match letter {
            '-' => '+',
            '_' => '/',
            letter => letter,
        };
        let found = STANDARD
            .iter()
            .position(|known| char::from(*known) == plain);
        found.ok_or(KeyError::Letter(letter))
    };
    let values: Vec<usize> = letters.chars().map(value).collect::<Result<_, _>>()?;
    let mut bits = 0_usize;
    let mut bytes = Vec::with_capacity(33);
    for (at, value) in values.iter().enumerate() {
        bits = bits << 6 | value;
        if at % 4 > 0 {
            bytes.push((bits >> (6 - 2 * (at % 4))) as u8);
        }
    }
    // The last letter has two bits more than there are, which are zero or mean nothing.
    match bytes.try_into() {
        Ok(bytes) if values.len() == 43 && bits & 3 == 0 => Ok(bytes),
        _ => Err(KeyError::Length(values.len())),
    }
}

pub(super) const STANDARD: &[u8; 64] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Base64 with this alphabet (RFC 4648), padded.
pub(super) fn encode(bytes: &[u8], alphabet: &[u8; 64]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let at = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for place in 0..4 {
            let letter = alphabet[(bits >> (18 - 6 * place)) as usize & 63];
            text.push(if place <= group.len() {
                letter.into()
            } else {
                '='
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_is_printed_and_as_others_print_it() {
        let key = PublicKey(Form::Ed25519([0xfb; 32]));
        let text = key.to_string();
        assert_eq!(text, "ed25519:-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_s");
        assert_eq!(text.parse(), Ok(key));
        let standard = format!("{}=", text.replace('-', "+").replace('_', "/"));
        assert_eq!(standard.parse(), Ok(key));
    }

    #[test]
    fn what_is_no_key_is_told_why() {
        let fault = |text: &str| text.parse::<PublicKey>().unwrap_err().to_string();
        assert!(fault("").contains("begins with `ed25519:` or `sha256:`"));
        assert!(fault("ssh-ed25519 AAAA").contains("`ssh-ed25519 AAAA` is no public key"));
        assert!(fault("ed25519:abc").contains("not 3 letters"));
        assert!(fault(&format!("sha256:{}", "A".repeat(44))).contains("not 44 letters"));
        assert!(fault(&format!("sha256:{}ä", "A".repeat(42))).contains("`ä` is no letter"));
        assert!(fault(&format!("sha256:{}B", "A".repeat(42))).contains("43 letters"));
    }

    #[test]
    fn a_key_and_its_hash_are_the_same() {
        let mut spki = ED25519.to_vec();
        spki.extend([7; 32]);
        let key = PublicKey::of(&spki);
        let hash = PublicKey(Form::Sha256(Sha256::digest(&spki).into()));
        assert!(key.is_same(&hash) && hash.is_same(&key));
        assert!(!key.is_same(&PublicKey::of(b"another")));
    }

    #[test]
    fn base64_is_that_of_the_standard() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encode(bytes.as_bytes(), STANDARD), text);
        }
    }
}
