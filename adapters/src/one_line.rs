//! Words that are not all ours, for logs, answers and terminals: one line, and not a long one.

/// More than any sentence of ours; what strangers add to it is cut.
const MOST_CHARACTERS: usize = 500;

/// The text without line ends and whatever else moves a cursor, as far as it may go.
pub fn one_line(text: &str) -> String {
    let spaced = |it: char| if it.is_control() { ' ' } else { it };
    text.chars().map(spaced).take(MOST_CHARACTERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_strangers_stay_one_short_line() {
        let long = format!("a\r\nb\u{1b}[2J{}", "x".repeat(1_000));
        let told = one_line(&long);
        assert!(told.starts_with("a  b [2J"), "{told}");
        assert_eq!(told.len(), MOST_CHARACTERS);
    }
}
