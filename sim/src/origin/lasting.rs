//! Faults that stay with the segments that are first listed amid them: each list asks for them, for each of its
//! segments.

use super::fault::{Fault, FaultKind, TextFault};
use hls_relay_core::time::Span;
use std::ops::Range;

/// When segments were listed that keep something wrong for good.
#[derive(Clone, Debug)]
pub(super) struct Lasting {
    /// Their URIs are ones that no client of HTTP asks for.
    pub(super) foreign: Stretches,
    /// They are EXT-X-GAP.
    pub(super) gaps: Stretches,
}

/// Stretches of time, in order; no two of them touch.
#[derive(Clone, Debug)]
pub(super) struct Stretches(Vec<Range<Span>>);

impl Lasting {
    pub(super) fn of(faults: &[Fault]) -> Self {
        Self {
            foreign: Stretches::of(faults, TextFault::ForeignScheme),
            gaps: Stretches::of(faults, TextFault::Gaps),
        }
    }
}

impl Stretches {
    fn of(faults: &[Fault], kind: TextFault) -> Self {
        let wanted = FaultKind::Text(kind);
        let faults = faults.iter().filter(|it| it.kind == wanted);
        let mut each: Vec<Range<Span>> = faults.map(|it| it.from..it.until).collect();
        each.sort_by_key(|it| it.start);
        let mut all: Vec<Range<Span>> = Vec::with_capacity(each.len());
        for it in each {
            match all.last_mut().filter(|last| it.start <= last.end) {
                Some(last) => last.end = last.end.max(it.end),
                None => all.push(it),
            }
        }
        Self(all)
    }

    /// There are none at any time.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them is on at this time.
    pub(super) fn contains(&self, at: Span) -> bool {
        let next = self.0.partition_point(|it| it.end <= at);
        self.0.get(next).is_some_and(|it| it.start <= at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_looked_for_among_stretches_that_overlap_and_touch() {
        let fault = |from, until| {
            let length = Span::from_secs(until - from);
            Fault::new(Span::from_secs(from), length, TextFault::Gaps)
        };
        let faults = [fault(30, 40), fault(5, 10), fault(7, 8), fault(10, 12)];
        let Lasting { foreign, gaps } = Lasting::of(&faults);
        assert!(foreign.is_empty() && !gaps.is_empty());
        let on = |at: &u64| gaps.contains(Span::from_secs(*at));
        let all: Vec<u64> = (0..50).filter(on).collect();
        let expected: Vec<u64> = (5..12).chain(30..40).collect();
        assert_eq!(all, expected);
    }
}
