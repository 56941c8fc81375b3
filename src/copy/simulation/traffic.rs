//! Calls on their way to AWS and back, and what befalls them.

use std::collections::BTreeSet;
use std::time::Duration;

use super::aws::error;
use super::life::{Event, Life};
use super::scenario::TIMEOUT;
use crate::aws::ErrorClass;
use crate::copy::call::{Answer, AnswerKind, Call, CallKind};
use crate::copy::engine::Engine;
use crate::copy::poller::{Poll, Seen};

impl Life {
    pub(super) fn send(&mut self, call: Call) {
        self.note(&format!("send {call:?}"));
        let (process, id) = (self.process, call.id);
        let there = self.now + self.scenario.millis(2_000);
        let back = there + self.scenario.millis(2_000);
        let answer = |kind| Event::Answered {
            process,
            answer: Answer { id, kind },
        };
        if self.faulty(self.scenario.credentials) {
            self.at(back, answer(failed(&call, ErrorClass::Credentials, false)));
        } else if !matches!(call.kind, CallKind::Start(_)) {
            if self.faulty(self.scenario.poll_fails) {
                self.at(back, answer(failed(&call, ErrorClass::Transient, false)));
            } else {
                self.at(
                    there,
                    Event::Delivered {
                        process,
                        call,
                        answered: Some(back),
                    },
                );
            }
        } else if self.faulty(self.scenario.throttled) {
            self.at(back, answer(failed(&call, ErrorClass::Throttling, false)));
        } else if self.faulty(self.scenario.unsent) {
            self.at(back, answer(failed(&call, ErrorClass::Transient, false)));
        } else if self.faulty(self.scenario.failed_before) {
            self.at(back, answer(failed(&call, ErrorClass::Transient, true)));
        } else if self.faulty(self.scenario.failed_after) {
            self.totals.lost_answers += 1;
            self.at(back, answer(failed(&call, ErrorClass::Transient, true)));
            self.at(
                there,
                Event::Delivered {
                    process,
                    call,
                    answered: None,
                },
            );
        } else if self.faulty(self.scenario.hung) {
            self.totals.lost_answers += 1;
            self.at(
                self.now + TIMEOUT,
                answer(failed(&call, ErrorClass::Transient, true)),
            );
            let late = self.scenario.late.as_millis().try_into().unwrap_or(1_u64).max(1);
            let there = self.now + TIMEOUT + self.scenario.millis(late);
            self.at(
                there,
                Event::Delivered {
                    process,
                    call,
                    answered: None,
                },
            );
        } else {
            self.at(
                there,
                Event::Delivered {
                    process,
                    call,
                    answered: Some(back),
                },
            );
        }
    }

    /// A request reaches AWS, whether or not anybody still waits for its answer.
    pub(super) fn deliver(&mut self, process: u32, call: Call, answered: Option<Duration>) {
        let id = call.id;
        let kind = match call.kind {
            CallKind::Start(request) => {
                AnswerKind::Started(self.aws.start(&request, self.now, &mut self.scenario))
            }
            CallKind::Look(_) if self.scenario.listing_denied => {
                AnswerKind::Found(Err(error(ErrorClass::AccessDenied, false)))
            }
            CallKind::Look(point) => {
                AnswerKind::Found(Ok(self.aws.of_point(&point, self.now, &self.scenario)))
            }
            CallKind::Examine(candidate) => {
                let job = self.aws.describe(&candidate.job.copy_job_id, self.now);
                AnswerKind::Examined(candidate, job)
            }
        };
        self.note(&format!("aws {kind:?}"));
        if let Some(at) = answered {
            self.at(
                at,
                Event::Answered {
                    process,
                    answer: Answer { id, kind },
                },
            );
        }
    }

    pub(super) fn poll(&mut self, engine: &Engine<'_>, poll: &Poll) {
        let process = self.process;
        let back = self.now + self.scenario.millis(3_000);
        let mut seen = Seen::default();
        if self.faulty(self.scenario.credentials) {
            seen.error = Some(error(ErrorClass::Credentials, false));
        } else if self.faulty(self.scenario.poll_fails) {
            seen.error = Some(error(ErrorClass::Transient, false));
        } else {
            if let Some(since) = poll.completed_after {
                if self.scenario.listing_denied {
                    seen.listing_denied = true;
                } else {
                    let mut under_way = BTreeSet::new();
                    for vault in &poll.vaults {
                        under_way.extend(self.aws.under_way(vault, self.now, &self.scenario));
                        let ended = self.aws.ended(vault, since, self.now, &self.scenario);
                        let latest = ended.iter().filter_map(|job| job.completion_date).max();
                        seen.ended_until = seen.ended_until.max(latest);
                        seen.jobs.extend(ended);
                    }
                    seen.jobs.retain(|job| poll.awaited.contains(&job.copy_job_id));
                    under_way.retain(|job| poll.awaited.contains(job));
                    seen.under_way = poll.under_way_from.map(|_| under_way);
                    seen.whole = true;
                }
            }
            for id in &poll.by_id {
                match self.aws.describe(id, self.now) {
                    Ok(job) => seen.jobs.push(job),
                    Err(_) => seen.unknown.push(id.clone()),
                }
            }
        }
        let visible = self.aws.visible(engine, self.began, self.now, &self.scenario);
        self.watch.polled(engine, poll, &seen, self.now, &visible);
        self.at(back, Event::Polled { process, seen });
    }
}

fn failed(call: &Call, class: ErrorClass, in_doubt: bool) -> AnswerKind {
    let error = error(class, in_doubt);
    match &call.kind {
        CallKind::Start(_) => AnswerKind::Started(Err(error)),
        CallKind::Look(_) => AnswerKind::Found(Err(error)),
        CallKind::Examine(candidate) => AnswerKind::Examined(candidate.clone(), Err(error)),
    }
}
