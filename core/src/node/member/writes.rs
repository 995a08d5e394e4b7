//! What is told to Redis of channels that are ours, and asked of it: registrations, releases, what is wanted.

use super::*;

impl Member {
    /// Sends what is due: registrations, questions, releases. `record` is what is known here of a channel that is
    /// ours.
    pub(super) fn advance_writes<S>(
        &mut self,
        now: Timestamp,
        record: impl Fn(&ChannelId) -> Option<(Record<S>, bool)>,
        commands: &mut Vec<ClusterCommand<S>>,
    ) {
        if self.contact == Contact::Away || !self.registered {
            return;
        }
        for (id, place) in &mut self.places {
            let next = RequestId(self.last_request + 1);
            let command = match &mut place.seat {
                Seat::Ours {
                    grant,
                    under_way: under_way @ None,
                    forgotten: forgotten @ true,
                    again_at,
                    ..
                } if *again_at <= now => {
                    let Some((record, removed)) = record(id) else {
                        continue;
                    };
                    (*under_way, *forgotten) = (Some(next), false);
                    ClusterCommand::Register {
                        request: next,
                        id: id.clone(),
                        grant: grant.clone(),
                        record,
                        removed,
                    }
                }
                Seat::Ours {
                    under_way: under_way @ None,
                    revision,
                    forgotten: false,
                    ..
                } => {
                    let newer = |(seen, _): &(ChannelSeen, Timestamp)| seen.revision > *revision;
                    if !place.seen.as_ref().is_some_and(newer) {
                        continue;
                    }
                    *under_way = Some(next);
                    let (request, id) = (next, id.clone());
                    ClusterCommand::Read { request, id }
                }
                Seat::Releasing {
                    grant,
                    unfinished,
                    erased,
                    request: request @ None,
                    again_at,
                } if *again_at <= now => {
                    *request = Some(next);
                    ClusterCommand::Release {
                        request: next,
                        id: id.clone(),
                        grant: grant.clone(),
                        unfinished: *unfinished,
                        erased: *erased,
                    }
                }
                Seat::Vacant { .. }
                | Seat::Asked { .. }
                | Seat::Ours { .. }
                | Seat::Leaving
                | Seat::Releasing { .. } => continue,
            };
            self.last_request = next.0;
            commands.push(command);
        }
    }
    /// What is wanted of a channel of ours has been read, or not.
    pub(super) fn read<S>(
        &mut self,
        request: RequestId,
        id: ChannelId,
        outcome: Result<Option<(Record<S>, bool)>, CallError>,
        orders: &mut Vec<Order<S>>,
    ) {
        let Some(place) = self.places.get_mut(&id) else {
            return;
        };
        let Seat::Ours {
            under_way,
            revision,
            ..
        } = &mut place.seat
        else {
            return;
        };
        if *under_way != Some(request) {
            return;
        }
        *under_way = None;
        // Looked at anew in any case: it may have changed again.
        place.seen = None;
        if let Ok(Some((record, removed))) = outcome {
            *revision = record.revision.max(*revision);
            orders.push(Order::Want {
                id,
                record,
                removed,
            });
        }
    }

    /// A registration, a release, or a dead owner's name taken off.
    pub(super) fn written<S>(
        &mut self,
        now: Timestamp,
        request: RequestId,
        id: ChannelId,
        outcome: Result<Fence, CallError>,
        orders: &mut Vec<Order<S>>,
    ) {
        let Some(place) = self.places.get_mut(&id) else {
            return;
        };
        match &mut place.seat {
            Seat::Asked { request: own, .. } if *own == request => {
                place.seat = VACANT;
                place.seen = None;
                self.hinted.insert(id);
            }
            Seat::Ours {
                since,
                under_way,
                forgotten,
                again_at,
                ..
            } if *under_way == Some(request) => {
                *under_way = None;
                match outcome {
                    Ok(Fence::Done) => {
                        *since = now;
                        self.hinted.insert(id);
                    }
                    Ok(Fence::Fenced(_)) => {
                        place.seat = Seat::Leaving;
                        orders.push(Order::Disown(id));
                    }
                    Ok(Fence::Lost) | Err(_) => (*forgotten, *again_at) = (true, now + RETRY),
                }
            }
            Seat::Releasing {
                request: own,
                again_at,
                ..
            } if *own == Some(request) => match outcome {
                Ok(_) => {
                    place.seat = Seat::Vacant {
                        claim_at: None,
                        avoid_until: now + AVOID,
                    };
                    place.seen = None;
                    self.hinted.insert(id);
                }
                Err(_) => (*own, *again_at) = (None, now + RETRY),
            },
            Seat::Vacant { .. }
            | Seat::Asked { .. }
            | Seat::Ours { .. }
            | Seat::Leaving
            | Seat::Releasing { .. } => {}
        }
    }

    pub(super) fn fenced<S>(&mut self, id: ChannelId, epoch: Epoch, orders: &mut Vec<Order<S>>) {
        if let Some(place) = self.places.get_mut(&id)
            && let Seat::Ours { grant, .. } = &place.seat
            && grant.epoch <= epoch
        {
            place.seat = Seat::Leaving;
            orders.push(Order::Disown(id));
        }
    }

    pub(super) fn forgotten(&mut self, id: &ChannelId) {
        if let Some(Place {
            seat: Seat::Ours { forgotten, .. },
            ..
        }) = self.places.get_mut(id)
        {
            *forgotten = true;
        }
    }
}
