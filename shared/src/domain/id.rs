//! Ids and hashes.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::names::{ExternalId, IdempotencyKey, Owner};
use super::{Invalid, Timestamp};

/// The name space of ids made from a caller's own words (UUIDv5). Part of what is stored: never to change.
const NAME_SPACE: Uuid = Uuid::from_u128(0x6a6f_626c_6564_6765_7200_0000_0000_0001);

/// A job's id: a UUIDv7, or a UUIDv5 of the owner and the caller's own id, so that creating twice finds the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(Uuid);

impl JobId {
    /// The id of the job that this owner calls `external_id`.
    pub fn of_external_id(owner: &Owner, external_id: &ExternalId) -> Self {
        Self::of_words(owner, "external_id", external_id.as_str())
    }

    /// The id of the job that this owner created under an idempotency key.
    pub fn of_idempotency_key(owner: &Owner, key: &IdempotencyKey) -> Self {
        Self::of_words(owner, "idempotency_key", key.as_str())
    }

    /// The owner holds no `#` (see [`Owner`]), so no two triples make the same text.
    fn of_words(owner: &Owner, kind: &str, word: &str) -> Self {
        Self(Uuid::new_v5(&NAME_SPACE, format!("{owner}#{kind}#{word}").as_bytes()))
    }

    /// The id as a UUID.
    pub fn as_uuid(self) -> Uuid {
        self.0
    }

    /// Which of `shards` parts of an index a new job goes to: its last 32 bits are random or hashed.
    pub fn shard(self, shards: u16) -> u16 {
        let [.., a, b, c, d] = *self.0.as_bytes();
        let within = u32::from_be_bytes([a, b, c, d]) % u32::from(shards.max(1));
        u16::try_from(within).unwrap_or(0)
    }
}

impl From<Uuid> for JobId {
    fn from(id: Uuid) -> Self {
        Self(id)
    }
}

impl TryFrom<&str> for JobId {
    type Error = Invalid;

    /// Only the hyphenated form: one job has one path.
    fn try_from(text: &str) -> Result<Self, Invalid> {
        let wrong = || Invalid::new("must be a UUID, such as 01981b5e-7c3a-7000-8000-000000000001");
        let id = Uuid::try_parse(text).map_err(|_| wrong())?;
        if text.len() == uuid::fmt::Hyphenated::LENGTH { Ok(Self(id)) } else { Err(wrong()) }
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl Serialize for JobId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for JobId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(String::deserialize(deserializer)?.as_str()).map_err(serde::de::Error::custom)
    }
}

/// The hash of a caller's request, as 16 bytes of SHA-256: tells a repetition from another request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; 16]);

impl Fingerprint {
    /// The fingerprint of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let hash: [u8; 32] = Sha256::digest(bytes).into();
        let mut half = [0; 16];
        half.copy_from_slice(&hash[..16]);
        Self(half)
    }

    /// As stored.
    pub fn bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl From<[u8; 16]> for Fingerprint {
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

/// The SHA-256 of an access key: all of it that is ever kept.
#[derive(Clone, Debug)]
pub struct KeyHash(String);

impl KeyHash {
    const DIGITS: usize = 64;

    /// The hash of a key's text.
    pub fn of(key: &str) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digits =
            |byte: u8| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]].map(char::from);
        Self(Sha256::digest(key.as_bytes()).iter().flat_map(|byte| digits(*byte)).collect())
    }

    /// 64 lower-case hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id of the key: a quarter of its hash, so that a key says by itself where it is kept.
    pub fn key_id(&self) -> KeyId {
        KeyId(self.0.chars().take(KeyId::DIGITS).collect())
    }

    /// Whether both are the same, found out in a time that does not depend on where they differ.
    pub fn matches(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl TryFrom<&str> for KeyHash {
    type Error = Invalid;

    fn try_from(text: &str) -> Result<Self, Invalid> {
        if is_digits(text, Self::DIGITS) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid(format!("must be a SHA-256: {} lower-case hexadecimal digits", Self::DIGITS)))
        }
    }
}

/// Whether a text is so many lower-case hexadecimal digits.
fn is_digits(text: &str, count: usize) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == count && text.bytes().all(is_digit)
}

/// The id of an access key, in lists and logs: 16 hexadecimal digits. Somebody who knows it cannot do anything with it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(String);

impl KeyId {
    const DIGITS: usize = 16;

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&str> for KeyId {
    type Error = Invalid;

    fn try_from(text: &str) -> Result<Self, Invalid> {
        if is_digits(text, Self::DIGITS) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid(format!("must be a key_id: {} lower-case hexadecimal digits", Self::DIGITS)))
        }
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for KeyId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// The `created` sort key of the list indexes: creation time, then id.
pub fn created_key(created_at: Timestamp, id: JobId) -> String {
    format!("{created_at}#{id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_words_differ_by_owner_kind_and_word() {
        let (a, b) = (Owner::try_from("a").unwrap(), Owner::try_from("b").unwrap());
        let word = ExternalId::try_from("1").unwrap();
        let key = IdempotencyKey::try_from("1").unwrap();
        let ids = [
            JobId::of_external_id(&a, &word),
            JobId::of_external_id(&b, &word),
            JobId::of_idempotency_key(&a, &key),
        ];
        assert_eq!(ids[0], JobId::of_external_id(&a, &word));
        assert!(ids[0] != ids[1] && ids[0] != ids[2] && ids[1] != ids[2]);
        // Stored data depends on it: this id must never change.
        assert_eq!(ids[0].to_string(), "9f73dea0-6bc0-5b40-904e-65ea4b141182");
    }

    #[test]
    fn a_key_is_kept_as_its_hash() {
        let hash = KeyHash::of("abc");
        assert_eq!(hash.as_str(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(hash.key_id().as_str(), "ba7816bf8f01cfea");
        assert!(hash.matches(&KeyHash::of("abc")) && !hash.matches(&KeyHash::of("abd")));
        assert!(KeyHash::try_from(hash.as_str()).is_ok_and(|stored| stored.matches(&hash)));
        for bad in ["", "ba7816bf8f01cfea", &hash.as_str().to_uppercase(), &format!("{}0", hash.as_str())] {
            assert!(KeyHash::try_from(bad).is_err(), "{bad}");
        }
        assert!(KeyId::try_from("ba7816bf8f01cfea").is_ok());
        for bad in ["", "ba7816bf8f01cfe", "ba7816bf8f01cfeaa", "BA7816bf8f01cfea", "ba7816bf8f01cfé"] {
            assert!(KeyId::try_from(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_the_hyphenated_form_is_an_id() {
        assert!(JobId::try_from("01981b5e-7c3a-7000-8000-000000000001").is_ok());
        for bad in ["", "1", "01981b5e7c3a70008000000000000001", "{01981b5e-7c3a-7000-8000-000000000001}"] {
            assert!(JobId::try_from(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn shards_lie_below_their_number() {
        let id = JobId::try_from("01981b5e-7c3a-7000-8000-0000ffffffff").unwrap();
        assert_eq!(id.shard(1), 0);
        assert_eq!(id.shard(8), 7);
        assert_eq!(id.shard(0), 0);
    }
}
