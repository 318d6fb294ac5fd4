//! The service's own jobs: work that goes on after the answer shows as a job of a type that no caller may use.

use super::{Invalid, Owner, TypeName};

/// A job that does something to many others.
pub const BULK: &str = "bulk";
/// A job that counts anew.
pub const RECOUNT: &str = "recount";
/// Not a type of any job: the metrics count there what ever became of the jobs of types that gave their places back.
pub const OTHER: &str = "other";
/// Whose jobs those are that nobody asked for: begun by a schedule.
pub const SERVICE_OWNER: &str = "jobledger";
/// All types of the service's own.
pub const RESERVED_TYPES: [&str; 2] = [BULK, RECOUNT];

/// Whether jobs of this type are the service's own.
pub fn is_reserved(kind: &TypeName) -> bool {
    RESERVED_TYPES.contains(&kind.as_str())
}

/// A type, if a caller's job may have it.
pub fn callers_type(kind: TypeName) -> Result<TypeName, Invalid> {
    if is_reserved(&kind) {
        let names = RESERVED_TYPES.join(" and ");
        return Err(Invalid(format!(
            "must be another name: {names} are kept for jobs of the service itself"
        )));
    }
    Ok(kind)
}

/// A type, if a new job of a caller may have it. Jobs that have been called `other` before still go on.
pub fn new_type(kind: TypeName) -> Result<TypeName, Invalid> {
    if kind.as_str() == OTHER {
        let message =
            format!("must be another name: the metrics count types that are no longer used as {OTHER}");
        return Err(Invalid(message));
    }
    callers_type(kind)
}

/// An owner, if keys may be theirs.
pub fn callers_owner(owner: Owner) -> Result<Owner, Invalid> {
    if owner.as_str() == SERVICE_OWNER {
        return Err(Invalid(format!("must be another name: {SERVICE_OWNER} is the service itself")));
    }
    Ok(owner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_jobs_have_types_of_their_own() {
        for (name, is_callers) in
            [("bulk", false), ("recount", false), ("Bulk", true), ("bulk.cancel", true), ("scrape", true)]
        {
            let kind = TypeName::try_from(name).unwrap();
            assert_eq!(is_reserved(&kind), !is_callers, "{name}");
            assert_eq!(callers_type(kind.clone()).is_ok(), is_callers, "{name}");
            assert_eq!(new_type(kind).is_ok(), is_callers, "{name}");
        }
        let other = TypeName::try_from(OTHER).unwrap();
        assert!(callers_type(other.clone()).is_ok() && new_type(other).is_err());
    }

    #[test]
    fn the_service_has_a_name_of_its_own() {
        for (name, is_callers) in
            [("jobledger", false), ("Jobledger", true), ("jobledger2", true), ("a", true)]
        {
            assert_eq!(callers_owner(Owner::try_from(name).unwrap()).is_ok(), is_callers, "{name}");
        }
    }
}
