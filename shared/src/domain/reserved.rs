//! The service's own jobs: work that goes on after the answer shows as a job of a type that no caller may use.

use super::{Invalid, Owner, TypeName};

/// A job that does something to many others.
pub const BULK: &str = "bulk";
/// A job that counts anew.
pub const RECOUNT: &str = "recount";
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
            assert_eq!(callers_type(kind).is_ok(), is_callers, "{name}");
        }
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
