//! Bodies that come packed: `Content-Encoding: gzip`.

use std::borrow::Cow;
use std::io::Read;

use flate2::bufread::MultiGzDecoder;
use lambda_http::http::HeaderMap;
use lambda_http::http::header::CONTENT_ENCODING;

use super::Problem;

/// A body as its sender had it, at most so many bytes; packed, it must keep that bound, too. A longer body is inflated
/// no further.
pub(super) fn decoded<'b>(
    headers: &HeaderMap,
    body: &'b [u8],
    max_bytes: usize,
) -> Result<Cow<'b, [u8]>, Problem> {
    let too_large = || Problem::too_large(format!("the body must be at most {max_bytes} bytes"));
    let packed = is_gzip(headers)?;
    if body.len() > max_bytes {
        return Err(too_large());
    }
    if !packed {
        return Ok(Cow::Borrowed(body));
    }
    let mut whole = Vec::new();
    // One byte more tells that there is more.
    let bound = u64::try_from(max_bytes).unwrap_or(u64::MAX).saturating_add(1);
    // A gzip stream is one member or several (RFC 1952), and whatever else follows one is an error.
    let inflated = MultiGzDecoder::new(body).take(bound).read_to_end(&mut whole);
    if whole.len() > max_bytes {
        return Err(too_large());
    }
    inflated.map_err(|_| Problem::invalid_json("the body must be a whole gzip stream, and nothing else"))?;
    Ok(Cow::Owned(whole))
}

/// Whether the body is packed; anything but gzip is refused. Names are in any case (RFC 9110).
fn is_gzip(headers: &HeaderMap) -> Result<bool, Problem> {
    let mut packed = false;
    for value in headers.get_all(CONTENT_ENCODING) {
        let names = value.to_str().map_err(|_| Problem::unsupported_encoding())?;
        for name in names.split(',').map(str::trim) {
            if name.is_empty() || name.eq_ignore_ascii_case("identity") {
                continue;
            }
            let gzip = name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip");
            // Twice packed would be twice as cheap a bomb.
            if !gzip || packed {
                return Err(Problem::unsupported_encoding());
            }
            packed = true;
        }
    }
    Ok(packed)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use lambda_http::http::HeaderValue;

    use super::*;

    fn gzip(body: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    fn read(encodings: &[&'static str], body: &[u8], max_bytes: usize) -> Result<Vec<u8>, &'static str> {
        let mut headers = HeaderMap::new();
        for &encoding in encodings {
            headers.append(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        decoded(&headers, body, max_bytes).map(Cow::into_owned).map_err(|problem| problem.code())
    }

    #[test]
    fn bounds_hold_for_what_comes_out() {
        let packed = gzip(&[b'x'; 100]);
        assert_eq!(read(&["gzip"], &packed, 100), Ok(vec![b'x'; 100]));
        assert_eq!(read(&["gzip"], &packed, 99), Err("too_large"));
        assert_eq!(read(&["gzip"], &packed, packed.len() - 1), Err("too_large"));
        assert_eq!(read(&[], b"12345", 5), Ok(b"12345".to_vec()));
        assert_eq!(read(&[], b"123456", 5), Err("too_large"));
        // Broken after more than is looked at: nobody came to see.
        let mut bomb = gzip("\0".repeat(100_000).as_bytes());
        bomb.truncate(bomb.len() - 4);
        assert_eq!(read(&["gzip"], &bomb, 1_000), Err("too_large"));
    }

    #[test]
    fn only_whole_streams_are_read() {
        let packed = gzip(b"{\"a\":1}");
        for end in 1..packed.len() {
            assert_eq!(read(&["gzip"], &packed[..end], 100), Err("invalid_json"), "{end}");
        }
        for place in 0..packed.len() {
            let mut broken = packed.clone();
            broken[place] ^= 0xff;
            // Time, system and the like mean nothing to us; any other change shows.
            if !(3..=9).contains(&place) {
                assert_eq!(read(&["gzip"], &broken, 100), Err("invalid_json"), "{place}");
            }
        }
        for garbage in [&b"\0"[..], b"{}", &packed[..5]] {
            assert_eq!(read(&["gzip"], &[&packed, garbage].concat(), 100), Err("invalid_json"));
        }
        assert_eq!(read(&["gzip"], &[&packed[..], &gzip(b" ")].concat(), 100), Ok(b"{\"a\":1} ".to_vec()));
        assert_eq!(read(&["gzip"], b"{}", 100), Err("invalid_json"));
    }

    #[test]
    fn encodings_go_by_any_case() {
        let packed = gzip(b"{}");
        for good in [&["GZip"][..], &["x-gzip"], &["identity, gzip"], &["", "gzip"]] {
            assert_eq!(read(good, &packed, 100), Ok(b"{}".to_vec()), "{good:?}");
        }
        for plain in [&["identity"][..], &["IDENTITY"], &[""], &[]] {
            assert_eq!(read(plain, b"{}", 100), Ok(b"{}".to_vec()), "{plain:?}");
        }
        for bad in
            [&["br"][..], &["deflate"], &["gzip, gzip"], &["gzip", "gzip"], &["zstd, gzip"], &["gzip2"]]
        {
            assert_eq!(read(bad, &packed, 100), Err("unsupported_encoding"), "{bad:?}");
        }
    }
}
