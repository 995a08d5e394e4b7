//! What is written down of a run, where it was asked for: every step in words, the journal, and the story
//! of what operator and viewers see.

use super::World;
use hls_relay_core::command::Command;
use hls_relay_core::event::Event;
use hls_relay_core::journal::{self, Record};
use hls_relay_core::time::{Now, Timestamp};

impl World {
    pub(super) fn trace_line(&mut self, line: impl FnOnce() -> String) {
        if self.options.trace {
            let at = self.now.as_micros();
            let (secs, micros) = (at / 1_000_000, at % 1_000_000);
            self.trace.push(format!("{secs:>7}.{micros:06} {}", line()));
        }
    }

    /// Without commands: the machine broke.
    pub(super) fn record(
        &mut self,
        seq: u64,
        now: Now,
        event: Event,
        commands: Option<&[Command]>,
    ) {
        self.trace_line(|| format!("> {}", crate::words::event(&event)));
        for command in commands.unwrap_or_default() {
            self.trace_line(|| format!("  < {}", crate::words::command(command)));
        }
        if self.options.journal {
            let record = Record {
                seq,
                now,
                event,
                digest: commands.map(journal::digest_of),
            };
            self.journal.push_str(&journal::encode_record(&record));
        }
    }

    /// What the operator is told.
    pub(super) fn tell(&mut self, commands: &[Command]) {
        for command in commands {
            if let Command::Notify(notice) = command {
                self.tell_line(&notice.to_string());
            }
        }
    }

    pub(super) fn tell_line(&mut self, line: &str) {
        if self.options.story && self.now.since(Timestamp::default()) < self.plan.healed_at {
            let millis = self.now.as_micros() / 1_000;
            let (secs, millis) = (millis / 1_000, millis % 1_000);
            self.story.push(format!("{secs:>4}.{millis:03} {line}"));
        }
    }
}
