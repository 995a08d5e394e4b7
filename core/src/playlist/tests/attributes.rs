//! Attribute lists.

use super::*;
use crate::limits;

fn fault(text: &str) -> AttributeFault {
    AttributeList::parse(text).unwrap_err()
}

#[test]
fn c_07_attributes_keep_their_order_and_their_quotes() {
    let list = AttributeList::parse("METHOD=AES-128,URI=\"a=b,c\",IV=0xAB,X-EMPTY=\"\"").unwrap();
    let all: Vec<_> = list.iter().collect();
    assert_eq!(
        all,
        [
            ("METHOD", "AES-128"),
            ("URI", "\"a=b,c\""),
            ("IV", "0xAB"),
            ("X-EMPTY", "\"\"")
        ]
    );
    assert_eq!(list.get("URI"), Some("\"a=b,c\""));
    assert_eq!(list.text("URI"), Some("a=b,c"));
    assert_eq!(list.text("X-EMPTY"), Some(""));
    assert_eq!(list.get("IV2"), None);
    assert!(AttributeList::parse("").unwrap().is_empty());
}

#[test]
fn c_07_blanks_and_stray_commas_are_left_out() {
    let strict = AttributeList::parse("A=1,B=\"x y\",C=2").unwrap();
    for loose in [
        " A=1,B=\"x y\",C=2",
        "A = 1 , B= \"x y\" ,C=2",
        "A=1,,B=\"x y\",C=2,",
        "A=1,\tB=\"x y\",C=2 ",
    ] {
        assert_eq!(AttributeList::parse(loose), Ok(strict.clone()), "{loose}");
    }
}

#[test]
fn c_07_an_attribute_stands_once() {
    let twice = AttributeList::parse("A=1,B=2,A=1").unwrap();
    assert_eq!(twice.as_str(), "A=1,B=2");
    assert_eq!(
        fault("A=1,B=2,A=3"),
        AttributeFault::Conflict("A".to_owned())
    );
    // Quoted and unquoted values are of different types.
    assert_eq!(
        fault("A=1,A=\"1\""),
        AttributeFault::Conflict("A".to_owned())
    );
}

#[test]
fn c_07_what_could_be_read_in_two_ways_is_refused() {
    assert_eq!(fault("A"), AttributeFault::NoValue);
    assert_eq!(fault("A=1,B"), AttributeFault::NoValue);
    assert_eq!(fault("A,B=1"), AttributeFault::NoValue);
    assert_eq!(fault("A="), AttributeFault::NoValue);
    assert_eq!(fault("A=,B=1"), AttributeFault::NoValue);
    assert_eq!(fault("=1"), AttributeFault::BadName);
    assert_eq!(fault("A B=1"), AttributeFault::BadName);
    assert_eq!(fault("\"A\"=1"), AttributeFault::BadName);
    assert_eq!(fault("A=\"1"), AttributeFault::UnclosedQuote);
    assert_eq!(fault("A=\"1\"2"), AttributeFault::StrayQuote);
    assert_eq!(fault("A=\"1\"2,B=3"), AttributeFault::StrayQuote);
    assert_eq!(fault("A=1\"2\""), AttributeFault::StrayQuote);
    assert_eq!(fault("A=1 2"), AttributeFault::BlankInValue);
    assert_eq!(fault("A=\"1\" \"2\""), AttributeFault::StrayQuote);
}

#[test]
fn c_63_attributes_have_a_limit() {
    let many = |count: usize| {
        let attributes: Vec<String> = (0..count).map(|number| format!("A{number}=1")).collect();
        AttributeList::parse(&attributes.join(","))
    };
    assert_eq!(
        many(limits::ATTRIBUTES).unwrap().iter().count(),
        limits::ATTRIBUTES
    );
    assert_eq!(many(limits::ATTRIBUTES + 1), Err(AttributeFault::TooMany));
}

#[test]
fn c_07_tags_that_are_passed_on_are_linted() {
    for tag in [
        "DATERANGE",
        "START",
        "PART",
        "SERVER-CONTROL",
        "DEFINE",
        "RENDITION-REPORT",
    ] {
        let error = list_refused(&format!("#EXT-X-{tag}:ID=\"a\",ID=\"b\"\n#EXTINF:6,\na\n"));
        let conflict = AttributeFault::Conflict("ID".to_owned());
        assert!(matches!(error, PlaylistError::BadAttributes { fault, .. } if fault == conflict));
    }
    let playlist = list("#EXT-X-DATERANGE:ID=\"a\",X=\"open\n#EXTINF:6,\na\n");
    assert_eq!(flaws(&playlist), [FlawKind::UnreadableAttributes]);
    assert_eq!(
        texts(&playlist.segments[0].tags),
        ["#EXT-X-DATERANGE:ID=\"a\",X=\"open"]
    );
    let playlist = list("#EXT-X-DATERANGE:ID=\"a\", ID=\"a\"\n#EXTINF:6,\na\n");
    assert_eq!(
        flaws(&playlist),
        [FlawKind::LooseAttributes, FlawKind::RepeatedAttribute]
    );
}

#[test]
fn s_63_values_that_are_set_cannot_leave_their_quotes() {
    let list = AttributeList::parse("METHOD=AES-128,URI=\"a\",X=1").unwrap();
    let set = list.with_quoted("URI", "k\"\r\n#EXTINF:1,\nevil.ts");
    let expected = "METHOD=AES-128,URI=\"k%22%0D%0A#EXTINF:1,%0Aevil.ts\",X=1";
    assert_eq!(set.as_str(), expected);
    assert_eq!(AttributeList::parse(set.as_str()), Ok(set.clone()));
    assert_eq!(
        set.with_plain("IV", "0x1,\"\n2").as_str(),
        format!("{expected},IV=0x12")
    );
    assert_eq!(list.without("URI").as_str(), "METHOD=AES-128,X=1");
    assert_eq!(
        list.without("METHOD").without("URI").without("X"),
        AttributeList::default()
    );
}

#[test]
fn s_64_integers_are_read_as_integers() {
    let list = AttributeList::parse("A=5,B=\"5\",C=5.0,D=18446744073709551615").unwrap();
    assert_eq!(list.integer("A"), Some(5));
    assert_eq!(list.integer("B"), None);
    assert_eq!(list.integer("C"), None);
    assert_eq!(list.integer("D"), Some(u64::MAX));
}
