//! The plan of a seed: which nodes there are, what is wanted of channels, and what goes wrong.

use super::{ChangePlan, Fault, FaultKind, Lost, NodePlan, Plan, Way, Wish};
use crate::draw::Dice;
use hls_relay_core::time::Span;

/// The faults of a world last so long.
const LENGTH: Span = Span::from_secs(100);
/// And then all must come to rest.
const REST: Span = Span::from_secs(75);

impl Plan {
    /// The plan of a seed.
    pub fn draw(seed: u64) -> Self {
        let mut dice = Dice::new(seed, "cluster");
        let count = dice.between(2, 4) as usize;
        let ppm = |dice: &mut Dice| dice.between(0, 18_000) as i64 - 9_000;
        let nodes = (0..count).map(|number| NodePlan {
            capacity: dice.pick(&[3, 6, 6, 10]),
            ppm: ppm(&mut dice),
            start_at: if number < 2 {
                dice.millis(0, 2_000)
            } else {
                dice.millis(0, 60_000)
            },
        });
        let nodes: Vec<_> = nodes.collect();
        let channels = dice.between(2, 5) as usize;
        let mut plan = Self {
            about: String::new(),
            sees: Vec::new(),
            seed,
            redis_ppm: ppm(&mut dice),
            channels,
            changes: Vec::new(),
            faults: Vec::new(),
            healed_at: LENGTH,
            ends_at: LENGTH + REST,
            nodes,
        };
        plan.draw_changes(seed);
        match dice.below(8) {
            0 => {}
            1 | 2 => plan.draw_static(&mut dice),
            _ => {
                for _ in 0..dice.between(1, 5) {
                    plan.draw_fault(&mut dice);
                }
            }
        }
        plan.draw_store(seed);
        plan.nobody_joins_across_a_cut();
        plan
    }

    fn draw_changes(&mut self, seed: u64) {
        let mut dice = Dice::new(seed, "cluster changes");
        for channel in 0..self.channels {
            let mut at = dice.millis(0, 9_000);
            let mut wish = Wish::Run {
                window: 6,
                source: 0,
            };
            for _ in 0..dice.pick(&[1, 1, 2, 3, 4]) {
                let by = dice
                    .one_in(2)
                    .then(|| dice.below(self.nodes.len() as u64) as usize);
                self.changes.push(ChangePlan {
                    at,
                    channel,
                    wish,
                    by,
                });
                // Now and then two at once, or nearly.
                at += match dice.below(3) {
                    0 => Span::from_millis(3),
                    1 => Span::from_millis(40),
                    _ => dice.millis(1_000, 40_000),
                };
                wish = match dice.below(6) {
                    0 => Wish::Remove,
                    1 | 2 => Wish::Stop,
                    _ => Wish::Run {
                        window: dice.between(6, 9) as usize,
                        source: 0,
                    },
                };
            }
        }
        self.changes.retain(|it| it.at < LENGTH);
        self.changes.sort_by_key(|it| it.at);
    }

    /// The store of a node is gone for a while: in every other world where nothing else goes wrong that is all, and
    /// another node has to have its channels; or that of all, as they have one in common.
    fn draw_store(&mut self, seed: u64) {
        let mut dice = Dice::new(seed, "cluster store");
        let alone = self.faults.is_empty() && dice.one_in(2);
        if alone {
            self.calm_down(&mut dice);
        } else if !dice.one_in(8) {
            return;
        }
        let nodes = self.nodes.len();
        let node = dice.below(nodes as u64) as usize;
        let from = dice.millis(25_000, 60_000);
        let until = (from + dice.millis(2_000, 45_000)).min(self.healed_at);
        let of = match alone && dice.one_in(3) {
            true => 0..nodes,
            false => node..node + 1,
        };
        let gone = of.map(|node| Fault {
            from,
            until,
            kind: FaultKind::StoreGone { node },
        });
        self.faults.extend(gone);
    }

    /// All is wanted early, and every node has room for all of it.
    fn calm_down(&mut self, dice: &mut Dice) {
        for node in &mut self.nodes {
            node.start_at = dice.millis(0, 2_000);
            node.capacity = node.capacity.max(self.channels);
        }
        self.changes.retain(|it| it.at < Span::from_secs(10));
    }

    /// Redis alone goes wrong: no viewer may notice.
    fn draw_static(&mut self, dice: &mut Dice) {
        self.calm_down(dice);
        let from = dice.millis(25_000, 40_000);
        let until = from + dice.millis(3_000, 55_000);
        let lost = dice.pick(&[
            Lost::Nothing,
            Lost::Everything,
            Lost::Last(Span::from_millis(700)),
        ]);
        self.faults.push(Fault {
            from,
            until,
            kind: FaultKind::RedisAway(lost),
        });
    }

    fn draw_fault(&mut self, dice: &mut Dice) {
        let nodes = self.nodes.len() as u64;
        let node = dice.below(nodes) as usize;
        let other = (node + 1 + dice.below(nodes - 1) as usize) % nodes as usize;
        let way = dice.pick(&[Way::Both, Way::There, Way::Back]);
        let from = dice.millis(8_000, 85_000);
        let long = match dice.below(3) {
            0 => dice.millis(200, 4_000),
            1 => dice.millis(2_000, 12_000),
            _ => dice.millis(8_000, 45_000),
        };
        let lost = match dice.below(3) {
            0 => Lost::Nothing,
            1 => Lost::Everything,
            _ => Lost::Last(dice.millis(50, 2_500)),
        };
        let kind = match dice.below(17) {
            0 | 1 => FaultKind::RedisAway(lost),
            2..=6 => FaultKind::CutRedis { node, way },
            7 => FaultKind::CutNodes {
                one: node,
                other,
                way,
            },
            8 | 9 => FaultKind::CutOff { node },
            10 => FaultKind::Slow {
                node,
                by: dice.millis(100, 3_000),
            },
            11 => FaultKind::RepliesLost { node },
            12 => FaultKind::Pause { node },
            13 | 14 => FaultKind::Kill { node },
            15 => FaultKind::Drain { node },
            _ => FaultKind::HintsLost,
        };
        let until = (from + long).min(self.healed_at);
        self.faults.push(Fault { from, until, kind });
        self.draw_companion(dice, Fault { from, until, kind });
    }

    /// What is worst together with another fault.
    fn draw_companion(&mut self, dice: &mut Dice, fault: Fault) {
        let Fault { from, until, kind } = fault;
        let long = until.saturating_sub(from);
        match kind {
            // An owner that went on without Redis has saved nothing, and dies.
            FaultKind::RedisAway(_) if long >= Span::from_secs(6) && dice.one_in(2) => {
                let kind = FaultKind::Kill {
                    node: dice.below(self.nodes.len() as u64) as usize,
                };
                let from = from + long.scaled(2, 3);
                let until = (until + dice.millis(6_000, 14_000)).min(self.healed_at);
                self.faults.push(Fault { from, until, kind });
            }
            // All fall silent, at once or one after the other.
            FaultKind::CutRedis { node, way } if dice.one_in(2) => {
                for node in (0..self.nodes.len()).filter(|it| *it != node) {
                    let from = from + dice.millis(0, 3_000);
                    let until = (from + dice.millis(1_500, 5_500)).min(self.healed_at);
                    let kind = FaultKind::CutRedis { node, way };
                    self.faults.push(Fault { from, until, kind });
                }
            }
            // What it has sent arrives when another is the owner.
            FaultKind::CutRedis { node, .. }
            | FaultKind::CutOff { node }
            | FaultKind::Kill { node } => {
                // What is sent is there within a lease, or its sender is dead.
                let is_dead = matches!(kind, FaultKind::Kill { .. });
                let most = if is_dead { 9_000 } else { 4_500 };
                let by = dice.millis(1_000, most);
                let kind = FaultKind::Slow { node, by };
                let from = from.saturating_sub(Span::from_secs(4));
                let until = from + Span::from_secs(4);
                self.faults.push(Fault { from, until, kind });
            }
            // What it has asked last arrives when others may have taken over, and before it can know.
            FaultKind::Pause { node } if dice.one_in(2) => {
                let (from, until) = (
                    from.saturating_sub(dice.millis(50, 900)),
                    from + long.scaled(9, 10),
                );
                let way = Way::There;
                let kind = FaultKind::CutRedis { node, way };
                self.faults.push(Fault { from, until, kind });
            }
            FaultKind::RedisAway(_)
            | FaultKind::CutNodes { .. }
            | FaultKind::Slow { .. }
            | FaultKind::RepliesLost { .. }
            | FaultKind::Pause { .. }
            | FaultKind::Drain { .. }
            | FaultKind::StoreGone { .. }
            | FaultKind::HintsLost => {}
        }
    }

    /// What is not promised: a node that starts, or comes back, on the side of Redis while others are cut off
    /// from it and from Redis alike. They cannot know of each other.
    fn nobody_joins_across_a_cut(&mut self) {
        let late: Vec<Span> = self.nodes.iter().map(|it| it.start_at).collect();
        let ends = self
            .faults
            .iter()
            .filter(|it| matches!(it.kind, FaultKind::Kill { .. } | FaultKind::Drain { .. }));
        let joins: Vec<Span> = late.into_iter().chain(ends.map(|it| it.until)).collect();
        let cuts =
            |kind: FaultKind| matches!(kind, FaultKind::CutNodes { .. } | FaultKind::CutOff { .. });
        let near = |it: &Fault| {
            let joins = joins.iter().filter(|at| **at > Span::from_secs(3));
            joins
                .clone()
                .any(|at| it.from <= *at + Span::from_secs(40) && *at <= it.until)
        };
        let redis_cut = self.faults.iter().any(|it| {
            matches!(
                it.kind,
                FaultKind::CutRedis { .. } | FaultKind::RedisAway(_)
            )
        });
        self.faults
            .retain(|it| !(cuts(it.kind) && near(it) && redis_cut));
    }
}
