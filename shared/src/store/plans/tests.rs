use super::*;

fn tables() -> Tables {
    Tables { jobs: "j".into(), ..Tables::default() }
}

#[test]
fn a_batch_of_heads_says_how_it_is_read() {
    let ids = [1, 2].map(|id| JobId::from(uuid::Uuid::from_u128(id)));
    let check = |plan: Result<BatchGetItemInputBuilder, Corrupt>, consistent| {
        let keys = plan.unwrap().get_request_items().clone().unwrap().remove("j").unwrap();
        assert_eq!(keys.keys(), ids.map(|id| job_key(id, HEAD)));
        assert_eq!(keys.consistent_read(), consistent);
    };
    check(get_heads(&tables(), &ids), None);
    check(get_heads_now(&tables(), &ids), Some(true));
}
