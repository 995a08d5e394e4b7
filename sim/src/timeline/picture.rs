//! The marks as SVG. Its size is bounded: what is too narrow to be told apart becomes one mark.

use super::{Look, Mark, Row, Timeline, bare, tally};
use hls_relay_core::notice::State;
use hls_relay_core::time::{Span, WallTime};
use std::fmt::Write;

/// Pixels for all of the time.
const WIDE: u64 = 1_440;
/// Room for the names of the rows.
const LEFT: u64 = 210;
const RIGHT: u64 = 14;
/// Room for title, numbers, legend and the axis.
const TOP: u64 = 104;
/// About as wide as a letter, and as a letter of the small print.
const LETTER: u64 = 6;
/// Marks up to this wide become one where they overlap.
const NARROW: u64 = 3;
/// Times on the axis are at least so far apart.
const TICK: u64 = 84;
/// A text to be hovered over is cut here, and a name beside a row there.
const MOST_WORDS: usize = 300;
const MOST_NAME: usize = 33;

const STYLE: &str = "<style>
text{font:11px sans-serif;fill:#222}.title{font-size:15px;font-weight:bold}.small{font-size:10px;fill:#555}
.grid{stroke:#e4e4e4}.line{stroke:#bbb}.begins{stroke:#36c;stroke-dasharray:3 3}
.open{fill:#fff;stroke:#999}.same{fill:#b4b4b4}.good{fill:#3a9a3a}.cancelled{fill:#d9c8e8}.told{fill:#7a9cc6}
.warning{fill:#e8a300}.wish{fill:#2456c8}.break{fill:#e07000}.bad{fill:#d42020}.hole{fill:#a00000}
.waiting,.starting{fill:#d6dcfa}.live{fill:#c8ebc8}.stale{fill:#ffe79a}.stalled{fill:#ffb0a8}
.ended,.stopped{fill:#dcdcdc}.tint{opacity:.28}.missing{fill:#888;opacity:.35}
</style>
";

/// What the colours mean, in the order of the legend.
const LEGEND: [(Look, &str); 8] = [
    (Look::Good, "new, done"),
    (Look::Same, "unchanged"),
    (Look::Bad, "failed, refused"),
    (Look::Warning, "older list, retry"),
    (Look::Cancelled, "cancelled"),
    (Look::Hole, "media lost"),
    (Look::Break, "discontinuity, switch"),
    (Look::Wish, "wish"),
];

/// A mark in pixels, standing for one or more.
struct Drawn<'a> {
    mark: &'a Mark,
    until: WallTime,
    count: u64,
    x: u64,
    wide: u64,
}

/// The rows and where each begins.
struct Layout {
    rows: Vec<(Row, u64)>,
    state: u64,
    bottom: u64,
}

/// Draws everything.
pub(super) fn draw(life: &Timeline) -> String {
    let layout = Layout::new(life.sources.len());
    let mut svg = String::new();
    let (width, height) = (LEFT + WIDE + RIGHT, layout.bottom + 12);
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\">\n{STYLE}<rect width=\"{width}\" height=\"{height}\" \
         fill=\"#fff\"></rect>"
    );
    head(&mut svg, life);
    states(&mut svg, life, &layout);
    axis(&mut svg, life, &layout);
    names(&mut svg, life, &layout);
    machines(&mut svg, life, &layout);
    let drawn = drawn(life);
    drawn.iter().for_each(|it| mark(&mut svg, it, &layout));
    wishes(&mut svg, &drawn, &layout);
    svg.push_str("</svg>\n");
    svg
}

impl Layout {
    fn new(sources: usize) -> Self {
        let mut y = TOP;
        let mut rows = Vec::new();
        let mut row = |row, y: &mut u64| {
            rows.push((row, *y));
            *y += height(row) + 6;
        };
        row(Row::Control, &mut y);
        let state = y;
        y += 40;
        for source in 0..sources {
            row(Row::Playlists(source), &mut y);
            row(Row::Downloads(source), &mut y);
            y += 4;
        }
        for last in [Row::Published, Row::Holes, Row::Notices] {
            row(last, &mut y);
        }
        Self {
            rows,
            state,
            bottom: y,
        }
    }

    fn top_of(&self, row: Row) -> u64 {
        let found = self.rows.iter().find(|(known, _)| *known == row);
        found.map_or(self.bottom, |(_, y)| *y)
    }
}

fn height(row: Row) -> u64 {
    match row {
        Row::Control | Row::Holes => 16,
        Row::Playlists(_) | Row::Published | Row::Notices => 14,
        Row::Downloads(_) => 24,
    }
}

fn head(svg: &mut String, life: &Timeline) {
    let (first, last) = (life.first.to_string(), life.last.to_string());
    let title = format!(
        "{}: {} {} to {} UTC, {}",
        life.channel,
        part(&first, 0, 10),
        part(&first, 11, 19),
        if part(&first, 0, 10) == part(&last, 0, 10) {
            part(&last, 11, 19).to_owned()
        } else {
            format!("{} {}", part(&last, 0, 10), part(&last, 11, 19))
        },
        tally::length(life.length())
    );
    let _ = writeln!(
        svg,
        "<text class=\"title\" x=\"8\" y=\"22\">{}</text>\n<text x=\"8\" y=\"40\">{}</text>\n\
         <text x=\"8\" y=\"56\">{}</text>",
        escaped(&title),
        escaped(&life.tally.states()),
        escaped(&life.tally.faults())
    );
    let mut x = 8;
    for (look, words) in LEGEND {
        let _ = writeln!(
            svg,
            "<rect class=\"{}\" x=\"{x}\" y=\"65\" width=\"10\" height=\"10\"></rect>\
             <text class=\"small\" x=\"{}\" y=\"74\">{words}</text>",
            class(look),
            x + 14
        );
        x += 28 + words.len() as u64 * LETTER;
    }
}

/// The bands of the state with their reasons; a bad one tints everything below it.
fn states(svg: &mut String, life: &Timeline, layout: &Layout) {
    let y = layout.state;
    let mut worst = (0, State::Waiting);
    for band in &life.bands {
        let (x, end) = (x_of(life, band.from), x_of(life, band.until));
        let wide = (end - x).max(1);
        // Of those within one pixel the worst is seen.
        if x == worst.0 && wide == 1 && band.state <= worst.1 {
            continue;
        }
        worst = (x, band.state);
        let name = band.state.to_string();
        let words = format!(
            "{} to {}, {}: {name}: {}",
            clock(band.from),
            clock(band.until),
            tally::length(band.until.since(band.from)),
            band.reason
        );
        if matches!(band.state, State::Stale | State::Stalled) {
            let tall = layout.bottom - y - 20;
            let _ = writeln!(
                svg,
                "<rect class=\"{name} tint\" x=\"{x}\" y=\"{}\" width=\"{wide}\" height=\"{tall}\"></rect>",
                y + 20
            );
        }
        let _ = writeln!(
            svg,
            "<rect class=\"{name}\" x=\"{x}\" y=\"{y}\" width=\"{wide}\" height=\"20\"><title>{}</title></rect>",
            escaped(&words)
        );
        if wide > name.len() as u64 * LETTER + 6 {
            let (x, y) = (x + 4, y + 14);
            let _ = writeln!(svg, "<text x=\"{x}\" y=\"{y}\">{name}</text>");
        }
    }
    reasons(svg, life, y + 31);
}

/// Why it is not live, below its band and as long as there is room.
fn reasons(svg: &mut String, life: &Timeline, y: u64) {
    let bands = life.bands.iter().filter(|it| it.state != State::Live);
    let places: Vec<_> = bands.map(|it| (x_of(life, it.from), &it.reason)).collect();
    for (index, (x, reason)) in places.iter().enumerate() {
        let end = places.get(index + 1).map_or(LEFT + WIDE, |(next, _)| *next);
        let room = (end.saturating_sub(*x) / LETTER) as usize;
        if room < 12 {
            continue;
        }
        let mut words: String = reason.chars().take(room - 1).collect();
        if words.len() < reason.len() {
            words.push('…');
        }
        let words = escaped(&words);
        let _ = writeln!(
            svg,
            "<text class=\"small\" x=\"{x}\" y=\"{y}\">{words}</text>"
        );
    }
}

/// Wall time, at round moments.
fn axis(svg: &mut String, life: &Timeline, layout: &Layout) {
    const SECONDS: [i64; 20] = [
        1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200,
        86_400, 604_800, 2_592_000,
    ];
    let seconds = (life.length().as_millis() / 1_000).max(1);
    let fits = |every: &&i64| every.unsigned_abs() * WIDE / seconds >= TICK;
    // Only a clock that is wrong by years makes a picture so long.
    let longest = || i64::try_from(seconds / (WIDE / TICK)).unwrap_or(i64::MAX);
    let every = SECONDS.iter().find(fits).copied().unwrap_or_else(longest);
    let micros = every.saturating_mul(1_000_000);
    let mut next = Some(
        life.first
            .as_micros()
            .div_euclid(micros)
            .saturating_mul(micros),
    );
    while let Some(at) = next.filter(|at| *at <= life.last.as_micros()) {
        let moment = WallTime::from_micros(at);
        next = at.checked_add(micros);
        if moment < life.first {
            continue;
        }
        let (x, text) = (x_of(life, moment), moment.to_string());
        let text = match every {
            86_400.. => part(&text, 0, 10),
            60.. => part(&text, 11, 16),
            _ => part(&text, 11, 19),
        };
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{x}\" y1=\"{}\" x2=\"{x}\" y2=\"{}\"></line>\
             <text x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{text}</text>",
            TOP - 8,
            layout.bottom,
            TOP - 12
        );
    }
}

fn names(svg: &mut String, life: &Timeline, layout: &Layout) {
    let _ = writeln!(
        svg,
        "<text x=\"8\" y=\"{}\">state</text>",
        layout.state + 14
    );
    for &(row, y) in &layout.rows {
        let name = match row {
            Row::Control => "wishes",
            Row::Playlists(source) => &shortened(bare(&life.sources[source].url)),
            Row::Downloads(_) => "    its segments",
            Row::Published => "published",
            Row::Holes => "holes and breaks",
            Row::Notices => "notices",
        };
        let full = match row {
            Row::Playlists(source) | Row::Downloads(source) => bare(&life.sources[source].url),
            Row::Control | Row::Published | Row::Holes | Row::Notices => name,
        };
        let rule = y + height(row) + 3;
        let _ = writeln!(
            svg,
            "<text x=\"8\" y=\"{}\" xml:space=\"preserve\">{}<title>{}</title></text>\
             <line class=\"grid\" x1=\"8\" y1=\"{rule}\" x2=\"{}\" y2=\"{rule}\"></line>",
            y + 11,
            escaped(name),
            escaped(full),
            LEFT + WIDE
        );
    }
}

/// Where machines begin, and what was not recorded.
fn machines(svg: &mut String, life: &Timeline, layout: &Layout) {
    for &(from, until) in &life.missing {
        let (x, end) = (x_of(life, from), x_of(life, until));
        let _ = writeln!(
            svg,
            "<rect class=\"missing\" x=\"{x}\" y=\"{TOP}\" width=\"{}\" height=\"{}\"><title>not recorded</title></rect>",
            (end - x).max(2),
            layout.bottom - TOP
        );
    }
    let mut begins: Vec<_> = life
        .begins
        .iter()
        .map(|(at, words)| (x_of(life, *at), at, words))
        .collect();
    begins.dedup_by_key(|(x, ..)| *x);
    for (x, at, words) in begins {
        let _ = writeln!(
            svg,
            "<line class=\"begins\" x1=\"{x}\" y1=\"{}\" x2=\"{x}\" y2=\"{}\"><title>{}</title></line>",
            TOP - 6,
            layout.bottom,
            escaped(&format!("{}: {words}", clock(*at)))
        );
    }
}

/// The marks in the order in which they are painted. Those that are too narrow to be told apart have
/// become one.
fn drawn(life: &Timeline) -> Vec<Drawn<'_>> {
    let mut marks: Vec<&Mark> = life.marks.iter().collect();
    marks.sort_by_key(|it| (it.look, it.row, it.beside, it.from));
    let mut all: Vec<Drawn<'_>> = Vec::new();
    for mark in marks {
        let x = x_of(life, mark.from);
        let least = if mark.look >= Look::Wish { NARROW } else { 2 };
        let wide = (x_of(life, mark.until) - x).max(least);
        if let Some(before) = all.last_mut() {
            let same = before.mark.look == mark.look
                && before.mark.row == mark.row
                && before.mark.beside == mark.beside;
            let end = before.x + before.wide;
            if same && x < end && (wide <= NARROW || x + wide <= end) {
                before.wide = end.max(x + wide) - before.x;
                before.until = before.until.max(mark.until);
                before.count += 1;
                continue;
            }
        }
        all.push(Drawn {
            mark,
            until: mark.until,
            count: 1,
            x,
            wide,
        });
    }
    all
}

fn mark(svg: &mut String, drawn: &Drawn<'_>, layout: &Layout) {
    let mark = drawn.mark;
    let top = layout.top_of(mark.row);
    let (y, tall) = match mark.row {
        Row::Downloads(_) => (top + mark.beside as u64 * 6, 5),
        Row::Control | Row::Playlists(_) | Row::Published | Row::Holes | Row::Notices => {
            (top, height(mark.row))
        }
    };
    let words = match drawn.count {
        1 => format!("{}: {}", clock(mark.from), mark.words),
        count => format!(
            "{count} from {} to {}; the first: {}",
            clock(mark.from),
            clock(drawn.until),
            mark.words
        ),
    };
    let _ = writeln!(
        svg,
        "<rect class=\"{}\" x=\"{}\" y=\"{y}\" width=\"{}\" height=\"{tall}\"><title>{}</title></rect>",
        class(mark.look),
        drawn.x,
        drawn.wide,
        escaped(&words)
    );
}

/// What was wished for, beside its mark where there is room.
fn wishes(svg: &mut String, drawn: &[Drawn<'_>], layout: &Layout) {
    let y = layout.top_of(Row::Control) + 12;
    let mut control: Vec<_> = drawn
        .iter()
        .filter(|it| it.mark.row == Row::Control)
        .collect();
    control.sort_by_key(|it| it.x);
    for (index, it) in control.iter().enumerate() {
        let words = it.mark.words.split(':').next().unwrap_or_default();
        let end = control
            .get(index + 1)
            .map_or(LEFT + WIDE + RIGHT, |next| next.x);
        if it.x + (words.len() as u64 + 1) * LETTER <= end {
            let x = it.x + 5;
            let _ = writeln!(svg, "<text x=\"{x}\" y=\"{y}\">{}</text>", escaped(words));
        }
    }
}

fn x_of(life: &Timeline, at: WallTime) -> u64 {
    let length = life.length().max(Span::from_secs(1)).as_millis();
    let since = at.since(life.first).as_millis().min(length);
    LEFT + since * WIDE / length
}

fn class(look: Look) -> &'static str {
    match look {
        Look::Open => "open",
        Look::Same => "same",
        Look::Good => "good",
        Look::Cancelled => "cancelled",
        Look::Told => "told",
        Look::Warning => "warning",
        Look::Wish => "wish",
        Look::Break => "break",
        Look::Bad => "bad",
        Look::Hole => "hole",
    }
}

/// The time of day with milliseconds.
fn clock(at: WallTime) -> String {
    part(&at.to_string(), 11, 23)
        .trim_end_matches('Z')
        .to_owned()
}

/// A part of a text, or all of it where it is shorter.
fn part(text: &str, from: usize, to: usize) -> &str {
    text.get(from..to).unwrap_or(text)
}

/// Both ends of a name: where it is, and what it is.
fn shortened(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    if letters.len() <= MOST_NAME {
        return name.to_owned();
    }
    let half = MOST_NAME / 2;
    let start = letters[..half].iter();
    let end = letters[letters.len() - half..].iter();
    start.chain(['…'].iter()).chain(end).collect()
}

/// Text of strangers as text of XML, of bounded length.
fn escaped(words: &str) -> String {
    let mut out = String::new();
    for letter in words.chars().take(MOST_WORDS) {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // XML has no way to write most of them.
            _ if letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}') => out.push(' '),
            _ => out.push(letter),
        }
    }
    out
}
