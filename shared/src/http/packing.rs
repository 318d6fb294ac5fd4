//! Answers that leave packed: `Accept-Encoding: gzip` or `zstd`.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use lambda_http::http::HeaderMap;
use lambda_http::http::header::ACCEPT_ENCODING;

/// Shorter bodies leave as they are: packing would save less than one network packet.
const MIN_BYTES: usize = 1_024;
/// zstd's fastest ordinary level. A function has a seventh of a core.
const ZSTD_LEVEL: i32 = 1;

/// How a body is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Zstd,
}

impl Coding {
    /// The word in headers.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// The one that the sender of these headers likes best; of two that it likes alike, zstd, which costs less. `None`:
    /// it takes neither.
    pub(super) fn wanted(headers: &HeaderMap) -> Option<Self> {
        let (mut gzip, mut zstd, mut any) = (None, None, None);
        for value in headers.get_all(ACCEPT_ENCODING) {
            for item in value.to_str().unwrap_or_default().split(',') {
                let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
                let weight = Some(thousandths(parameters));
                match name.trim().to_ascii_lowercase().as_str() {
                    "gzip" | "x-gzip" => gzip = weight,
                    "zstd" => zstd = weight,
                    "*" => any = weight,
                    _ => {}
                }
            }
        }
        // A caller that takes anything gets a form that everything can unpack.
        let (gzip, zstd) = (gzip.or(any).unwrap_or(0), zstd.unwrap_or(0));
        match (gzip, zstd) {
            (0, 0) => None,
            (gzip, zstd) if zstd >= gzip => Some(Self::Zstd),
            _ => Some(Self::Gzip),
        }
    }

    /// A whole body, packed. `None`: it would not leave shorter. A packed body leaves a function as base64, which is a
    /// third longer.
    pub(super) fn pack(self, body: &[u8]) -> Option<Vec<u8>> {
        if body.len() < MIN_BYTES {
            return None;
        }
        let mut packing = Packer::new(self).ok()?;
        packing.add(body).ok()?;
        let packed = packing.finish().ok()?;
        (packed.len() / 3 * 4 < body.len()).then_some(packed)
    }
}

/// The `q` of a coding, in thousandths; 1,000 where there is none, and 0 where it is none.
fn thousandths(parameters: &str) -> u32 {
    let Some(q) = parameters.split(';').find_map(|word| {
        let (name, value) = word.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then(|| value.trim())
    }) else {
        return 1_000;
    };
    let (whole, part) = q.split_once('.').unwrap_or((q, ""));
    let digits = part.len() <= 3 && part.bytes().all(|byte| byte.is_ascii_digit());
    match (whole, digits) {
        ("1", true) => 1_000,
        ("0", true) => format!("{part:0<3}").parse().unwrap_or(0),
        _ => 0,
    }
}

/// Packs a body that comes piece by piece.
pub(super) enum Packer {
    Gzip(GzEncoder<Vec<u8>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Packer {
    pub(super) fn new(coding: Coding) -> io::Result<Self> {
        Ok(match coding {
            Coding::Gzip => Self::Gzip(GzEncoder::new(Vec::new(), Compression::fast())),
            Coding::Zstd => Self::Zstd(zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)?),
        })
    }

    fn add(&mut self, piece: &[u8]) -> io::Result<()> {
        match self {
            Self::Gzip(encoder) => encoder.write_all(piece),
            Self::Zstd(encoder) => encoder.write_all(piece),
        }
    }

    /// Takes a piece in, and gives what is ready; that may be nothing.
    pub(super) fn next(&mut self, piece: &[u8]) -> io::Result<Bytes> {
        self.add(piece)?;
        let ready = match self {
            Self::Gzip(encoder) => encoder.get_mut(),
            Self::Zstd(encoder) => encoder.get_mut(),
        };
        Ok(Bytes::from(std::mem::take(ready)))
    }

    /// The rest.
    pub(super) fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use lambda_http::http::HeaderValue;
    use sha2::{Digest, Sha256};

    use super::*;

    fn wanted(values: &[&'static str]) -> Option<Coding> {
        let mut headers = HeaderMap::new();
        for &value in values {
            headers.append(ACCEPT_ENCODING, HeaderValue::from_static(value));
        }
        Coding::wanted(&headers)
    }

    #[test]
    fn the_coding_is_the_one_that_the_caller_likes_best() {
        for gzip in [
            &["gzip"][..],
            &["gzip, deflate, br"],
            &["*"],
            &["X-GZIP"],
            &["br", "gzip;q=0.1"],
            &["zstd;q=0.5, gzip"],
        ] {
            assert_eq!(wanted(gzip), Some(Coding::Gzip), "{gzip:?}");
        }
        for zstd in [
            &["zstd"][..],
            &["gzip, deflate, br, zstd"],
            &["gzip;q=0.8, ZSTD;q=0.9"],
            &["gzip;q=0, zstd;q=0.001"],
        ] {
            assert_eq!(wanted(zstd), Some(Coding::Zstd), "{zstd:?}");
        }
        for none in [
            &[][..],
            &[""],
            &["identity"],
            &["br"],
            &["gzip;q=0"],
            &["*;q=0.000"],
            &["gzip;q=no"],
            &["gzip;q=2"],
        ] {
            assert_eq!(wanted(none), None, "{none:?}");
        }
    }

    #[test]
    fn short_bodies_and_those_that_would_not_get_shorter_stay_as_they_are() {
        let noise: Vec<u8> = (0..64_u8).flat_map(|n| Sha256::digest([n])).collect();
        for coding in [Coding::Gzip, Coding::Zstd] {
            assert_eq!(coding.pack(&[b'x'; MIN_BYTES - 1]), None);
            assert_eq!(coding.pack(&noise), None);
            assert!(coding.pack(&[b'x'; MIN_BYTES]).is_some_and(|packed| packed.len() < 100));
        }
    }
}
