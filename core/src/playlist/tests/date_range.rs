//! What tags with one ID tell together (RFC 8216 4.3.2.7, rule C-53).

use crate::playlist::DateRange;

const DATE: &str = "START-DATE=\"2026-01-01T00:00:00Z\"";

fn read(attributes: &str) -> Option<DateRange> {
    DateRange::read(&format!("#EXT-X-DATERANGE:{attributes}"))
}

#[test]
fn c_53_the_end_is_told_or_follows() {
    let end = |rest: &str| {
        let range = read(&format!("ID=\"a\",{DATE}{rest}"))?;
        let micros = range.end()?.as_micros() - range.start()?.as_micros();
        Some(micros / 1_000)
    };
    assert_eq!(end(",DURATION=1.5"), Some(1_500));
    assert_eq!(end(",END-DATE=\"2026-01-01T01:00:02+01:00\""), Some(2_000));
    assert_eq!(
        end(",DURATION=2,END-DATE=\"2026-01-01T00:00:02.001Z\""),
        Some(2_001)
    );
    assert_eq!(end(",PLANNED-DURATION=9"), None);
    let planned = read(&format!("ID=\"a\",{DATE},PLANNED-DURATION=9"));
    assert!(planned.is_some_and(|it| it.planned_end() > it.start()));
}

#[test]
fn c_53_what_breaks_the_rules_by_itself_tells_nothing() {
    for attributes in [
        String::new(),
        DATE.to_owned(),
        format!("ID=\"\",{DATE}"),
        format!("ID=\"a\",ID=\"b\",{DATE}"),
        "ID=\"a\",START-DATE=\"2026-13-01T00:00:00Z\"".to_owned(),
        format!("ID=\"a\",{DATE},DURATION=-1"),
        format!("ID=\"a\",{DATE},DURATION=2,END-DATE=\"2026-01-01T00:00:03Z\""),
        format!("ID=\"a\",{DATE},END-DATE=\"2025-01-01T00:00:03Z\""),
        format!("ID=\"a\",{DATE},END-ON-NEXT=YES"),
        format!("ID=\"a\",{DATE},CLASS=\"c\",END-ON-NEXT=NO"),
        format!("ID=\"a\",{DATE},CLASS=\"c\",END-ON-NEXT=YES,DURATION=1"),
    ] {
        assert_eq!(read(&attributes), None, "{attributes}");
    }
    assert_eq!(DateRange::read("#EXT-X-CUE-OUT:ID=\"a\""), None);
}

#[test]
fn c_53_later_tags_add_and_never_change() {
    let first = read(&format!("ID=\"a\",{DATE},X-B=0x0A")).unwrap();
    let with = |rest: &str| first.with(&read(&format!("ID=\"a\"{rest}")).unwrap());
    let line = |rest: &str| with(rest).unwrap().line();
    assert_eq!(line(""), first.line());
    assert_eq!(
        line(",X-B=0x0A,SCTE35-IN=0xFC"),
        first.line() + ",SCTE35-IN=0xFC"
    );
    assert_eq!(with(",X-B=0x0a,X-C=1").unwrap_err().as_ref(), "X-B");
    // Each by itself is legal, and together they are not.
    let ends = read(&format!("ID=\"a\",{DATE},CLASS=\"c\",END-ON-NEXT=YES")).unwrap();
    let lasts = read("ID=\"a\",DURATION=4").unwrap();
    assert_eq!(ends.with(&lasts).unwrap_err().as_ref(), "DURATION");
    // What is told together has the limits of a line.
    let long = |name: &str| read(&format!("ID=\"a\",{name}=\"{}\"", "x".repeat(9_000))).unwrap();
    let more = first.with(&long("X-L")).unwrap();
    assert_eq!(more.with(&long("X-M")).unwrap_err().as_ref(), "X-M");
}
