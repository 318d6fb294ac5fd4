use proptest::prelude::*;

use super::*;

/// The jobs of a file of these bytes, as numbers and texts; then the fault, if it ends with one.
fn read(bytes: &[u8]) -> (Vec<(u64, String)>, Option<String>) {
    let mut source = open(bytes).unwrap_or_else(|error| panic!("{error}"));
    let mut jobs = Vec::new();
    loop {
        match source.next() {
            Ok(Some(job)) => jobs.push((job.number, shown(job.content))),
            Ok(None) => return (jobs, None),
            Err(error) => return (jobs, Some(error.to_string())),
        }
    }
}

fn open(bytes: &[u8]) -> Result<Source, Error> {
    // One byte at a time: nothing may depend on how much comes at once.
    struct Slow(Cursor<Vec<u8>>);
    impl Read for Slow {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let some = buffer.len().min(1);
            self.0.read(&mut buffer[..some])
        }
    }
    Source::of(Box::new(Slow(Cursor::new(bytes.to_vec()))), "f".to_owned(), None)
}

fn shown(content: Content) -> String {
    match content {
        Content::Whole(text) => String::from_utf8_lossy(&text).into_owned(),
        Content::TooLong { start, bytes } => format!("{} of {bytes}", start.len()),
        Content::Unfinished(text) => format!("unfinished {}", String::from_utf8_lossy(&text)),
    }
}

#[track_caller]
fn check(bytes: &[u8], expect: &[(u64, &str)]) {
    let (jobs, fault) = read(bytes);
    let jobs: Vec<_> = jobs.iter().map(|(number, text)| (*number, text.as_str())).collect();
    assert_eq!((jobs.as_slice(), fault), (expect, None), "{}", String::from_utf8_lossy(bytes));
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    jobledger_client::gzip(bytes).unwrap()
}

#[test]
fn lines_and_elements_are_cut_and_numbered() {
    check(b"{\"a\":1}\r\n\n  {broken \n2", &[(1, "{\"a\":1}"), (3, "{broken"), (4, "2")]);
    check(b"\n\n {}\n\n{}\n", &[(3, "{}"), (5, "{}")]);
    check(b"\xef\xbb\xbf{}\n\xef\xbb\xbf\n\xef\xbb\xbf {}\n", &[(1, "{}"), (3, "{}")]);
    check(
        b" \n[ {\"a\":[1,{}]} ,\n null,\"],[\\\"\" ]\n",
        &[(1, "{\"a\":[1,{}]}"), (2, "null"), (3, "\"],[\\\"\"")],
    );
    check(b"\xef\xbb\xbf[{}]", &[(1, "{}")]);
    for empty in [b"".as_slice(), b" \n\n", b"[]", b" [ ] ", b"\xef\xbb\xbf"] {
        check(empty, &[]);
    }
    let twice = [gzip(b"\xef\xbb\xbf{}\n"), gzip(b"{}")].concat();
    check(&twice, &[(1, "{}"), (2, "{}")]);
}

#[test]
fn a_wrong_element_is_one_line_and_stays_wrong() {
    check(b"[{\"a\":\n1},\n{x},{} {}]", &[(1, "{\"a\": 1}"), (2, "{x}"), (3, "{} {}")]);
    check(b"[\"a\nb\\\n\"]", &[(1, "\"a\tb\\\t\"")]);
}

#[test]
fn a_last_line_may_be_unfinished() {
    check(b"{}\n{\"a\":", &[(1, "{}"), (2, "unfinished {\"a\":")]);
    check(b"{\"a\":\n", &[(1, "{\"a\":")]);
    check(b"{}\n{} ", &[(1, "{}"), (2, "{}")]);
}

#[test]
fn a_job_of_several_lines_is_told() {
    for pretty in
        ["{\n  \"external_id\": \"a\"\n}\n", "\n{\r\n\r\n}", "{ \"a\":\n 1 }\n", "{\"a\": 1,\n\"b\": 2}"]
    {
        let (jobs, fault) = read(pretty.as_bytes());
        assert_eq!(jobs, [], "{pretty}");
        assert!(fault.is_some_and(|fault| fault.contains("jq -c")), "{pretty}");
    }
    // A first line that breaks off keeps no other out; nor does a later one.
    check(b"{\"a\":\n\n {}\n{}", &[(1, "{\"a\":"), (3, "{}"), (4, "{}")]);
    check(b"{\n{}\n", &[(1, "{"), (2, "{}")]);
    check(b"{}\n{\n\"a\":1\n}\n", &[(1, "{}"), (2, "{"), (3, "\"a\":1"), (4, "}")]);
}

#[test]
fn a_broken_array_gives_what_is_before() {
    for (text, before, why) in [
        ("[{},{\"a\":[1}]", 1, "element 2: a bracket closes"),
        ("[{},{}", 1, "ends within element 2"),
        ("[{}", 0, "ends within element 1"),
        ("[", 0, "ends within element 1"),
        ("[{},]", 1, "element 2 is empty"),
        ("[,{}]", 0, "element 1 is empty"),
        ("[{}]{}", 1, "something follows"),
        ("[{}}]", 0, "a bracket closes"),
    ] {
        let (jobs, fault) = read(text.as_bytes());
        assert_eq!(jobs.len(), before, "{text}");
        assert!(fault.as_ref().is_some_and(|fault| fault.contains(why)), "{text}: {fault:?}");
    }
    let deep = "[".repeat(MAX_JOB_BYTES);
    assert!(read(deep.as_bytes()).1.is_some_and(|fault| fault.contains("too deeply")));
    let cut = gzip(b"{}\n{}\n");
    assert!(read(&cut[..cut.len() - 9]).1.is_some_and(|fault| fault.contains("cannot read on")));
}

#[test]
fn what_is_too_long_is_passed_over() {
    let long = "x".repeat(MAX_JOB_BYTES);
    let longer = format!("{long}yz");
    let start = MAX_JOB_BYTES + 1;
    let all = MAX_JOB_BYTES + 2;
    let told = format!("{start} of {all}");
    check(format!("{long}\n{{}}").as_bytes(), &[(1, &long), (2, "{}")]);
    // The end of a line is a byte of it.
    check(format!("{longer}\n{{}}").as_bytes(), &[(1, &format!("{start} of {}", all + 1)), (2, "{}")]);
    check(format!("[\"{}\",{{}}]", &longer[2..]).as_bytes(), &[(1, &told), (2, "{}")]);
}

#[test]
fn what_is_no_json_is_told() {
    for (bytes, what) in [
        (b"PK\x03\x04..".as_slice(), "ZIP"),
        (b"\xff\xfe{\0", "UTF-16"),
        (b"\0[\0{", "UTF-16"),
        (b"\x28\xb5\x2f\xfd....", "Zstandard"),
    ] {
        let error = open(bytes).err().expect("an error").to_string();
        assert!(error.contains(what), "{error}");
    }
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<i64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
        "[\\[\\]{},\"\\\\ \n]{0,6}".prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::hash_map(any::<String>(), inner, 0..4)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn an_array_gives_its_elements_however_it_is_written(
        values in prop::collection::vec(json(), 0..6),
        is_pretty: bool,
    ) {
        let text = if is_pretty { serde_json::to_vec_pretty(&values) } else { serde_json::to_vec(&values) };
        let (jobs, fault) = read(&text.unwrap());
        prop_assert_eq!(fault, None);
        prop_assert!(jobs.iter().all(|(_, text)| !text.contains('\n')));
        let got: Vec<serde_json::Value> =
            jobs.iter().map(|(_, text)| serde_json::from_str(text).unwrap()).collect();
        prop_assert_eq!(got, values);
    }
}
