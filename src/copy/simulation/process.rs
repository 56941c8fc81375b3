//! One process of a life: from loading the state to its end, as the driver does it.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::Rng as _;

use super::life::{End, Event, LIMIT, Life, vault_arn, vault_name};
use crate::copy::engine::{Effect, Engine};
use crate::copy::event::StopReason;
use crate::copy::run::VaultLedger;
use crate::state::JournalRecord;

/// Most steps of one process in a minute: more are made by one that turns in circles only.
const MOST_STEPS: u32 = 2_000;

impl Life {
    pub(super) fn run_process(&mut self) -> Result<End, String> {
        let mut ledgers = Vec::new();
        for vault in 0..self.scenario.vaults {
            let dies = self.dies();
            let Some(disk) = self.disks.get_mut(usize::from(vault)) else {
                continue;
            };
            let ledger = VaultLedger {
                source_vault: vault_name(vault),
                destination_vault_arn: vault_arn(vault),
                created_at: disk.created_at(),
                items: disk.load()?,
            };
            disk.begin(&ledger, dies);
            if dies {
                return Ok(End::Died);
            }
            ledgers.push(ledger);
        }
        let end = self.run_engine(&mut ledgers)?;
        if end == End::Died {
            return Ok(end);
        }
        for (vault, ledger) in ledgers.iter().enumerate() {
            let dies = self.dies();
            if let Some(disk) = self.disks.get_mut(vault) {
                disk.fold(&ledger.items, dies);
            }
            if dies {
                return Ok(End::Died);
            }
        }
        Ok(end)
    }

    fn run_engine(&mut self, ledgers: &mut [VaultLedger]) -> Result<End, String> {
        let began = self.now;
        self.began = began;
        let process = self.process;
        let mut engine = Engine::new(self.scenario.policy.clone(), ledgers);
        engine.restore(self.moment(began));
        self.watch.process_begins(began);
        let (mut calls, mut polling, mut stopped, mut steps) = (0_usize, false, None, 0_u32);
        let (mut minute, mut wake) = (began, None);
        let interval = self.scenario.policy.poll_interval;
        self.at(self.now + interval, Event::PollTimer { process });
        loop {
            let free = self.scenario.policy.workers.saturating_sub(calls);
            let moment = self.moment(began);
            engine.act(moment, free, true);
            let Some(sent) = self.perform(&mut engine, stopped.is_some())? else {
                return Ok(End::Died);
            };
            calls += sent;
            if let Some(end) = self.end(&engine, calls, &mut stopped) {
                self.watch.process_ends(&engine, self.now);
                return Ok(end);
            }
            if stopped.is_none() {
                self.watch.settled(&engine, self.now, free.saturating_sub(sent));
            }
            if self.now > minute + Duration::from_mins(1) {
                (minute, steps) = (self.now, 0);
            }
            steps += 1;
            if steps > MOST_STEPS || self.now > self.scenario.faults_until + LIMIT {
                return Err(format!("not over at {:?}: {:?}", self.now, engine.stats()));
            }
            if free > sent
                && stopped.is_none()
                && let Some(at) = engine.next_call(self.moment(began))
            {
                let at = (began + at).max(self.now + Duration::from_millis(1));
                if wake.is_none_or(|earlier| earlier <= self.now || at < earlier) {
                    wake = Some(at);
                    self.at(at, Event::Wake);
                }
            }
            let since = self.now;
            let Some(event) = self.next_event() else {
                return Err(format!("nothing will ever happen: {:?}", engine.stats()));
            };
            if stopped.is_none() {
                self.watch
                    .slept(&engine, since, self.now, free.saturating_sub(sent));
            }
            let moment = self.moment(began);
            match event {
                Event::Delivered {
                    process,
                    call,
                    answered,
                } => self.deliver(process, call, answered),
                Event::Answered { process: to, answer } if to == process => {
                    self.note(&format!("answer {answer:?}"));
                    calls -= 1;
                    // Which job is the attempt's is told by its date as well, if clocks agree.
                    let token = self
                        .watch
                        .token(&engine, answer.id)
                        .filter(|_| self.scenario.skew.is_zero());
                    let own = token.and_then(|(token, sent)| self.aws.job_of(token, *sent));
                    self.watch.answered(&engine, &answer, own, self.now);
                    engine.answered(answer, moment);
                    if self.dies() {
                        return Ok(End::Died);
                    }
                    if self.faulty(self.scenario.signal) {
                        engine.raise(StopReason::Interrupted);
                        if engine.stop() != Some(StopReason::Interrupted) {
                            return Err("a signal is not minded".to_owned());
                        }
                    }
                }
                Event::Polled { process: to, seen } if to == process => {
                    self.note(&format!("poll {seen:?}"));
                    self.watch.failed(seen.error.as_ref());
                    polling = engine.poll_ended(seen, moment);
                    if polling {
                        let poll = engine.next_poll(moment);
                        self.poll(&engine, &poll);
                    }
                }
                Event::PollTimer { process: of } if of == process => {
                    self.at(self.now + interval, Event::PollTimer { process });
                    if !polling && !engine.in_flight.is_empty() {
                        polling = true;
                        let poll = engine.next_poll(moment);
                        self.poll(&engine, &poll);
                    }
                }
                Event::Answered { .. } | Event::Polled { .. } | Event::PollTimer { .. } | Event::Wake => {}
            }
        }
    }

    /// How the process ends at this moment, if it does: after a stop, jobs are awaited for a while.
    fn end(&mut self, engine: &Engine<'_>, calls: usize, stopped: &mut Option<Duration>) -> Option<End> {
        if engine.stop().is_none() {
            return (calls == 0 && engine.is_done()).then_some(End::Done);
        }
        let until = *stopped.get_or_insert(self.now + self.scenario.drain);
        let idle = calls == 0 && engine.in_flight.is_empty();
        if idle || self.now >= until {
            return Some(End::Stopped);
        }
        self.at(until, Event::Wake);
        None
    }

    /// As the driver does: everything is journalled, then calls are sent. Answers how many were;
    /// `None` if the process died.
    fn perform(&mut self, engine: &mut Engine<'_>, stopped: bool) -> Result<Option<usize>, String> {
        let mut sent = 0;
        loop {
            let effects = engine.take_effects();
            if effects.is_empty() {
                return Ok(Some(sent));
            }
            let mut records: BTreeMap<u16, Vec<JournalRecord>> = BTreeMap::new();
            let mut calls = Vec::new();
            for effect in effects {
                match effect {
                    Effect::Journal { vault, record } => records.entry(vault).or_default().push(record),
                    Effect::Call(call) => calls.push(call),
                    Effect::Emit(kind) => {
                        self.watch.told(engine, &kind, self.now);
                        self.note(&format!("{kind:?}"));
                    }
                }
            }
            for (vault, records) in records {
                let share = self.dies().then(|| self.scenario.rng.random_range(0.0..=1.0));
                let Some(disk) = self.disks.get_mut(usize::from(vault)) else {
                    continue;
                };
                disk.append(&records, share)?;
                if share.is_some() {
                    self.totals.torn += 1;
                    self.note("died while writing");
                    return Ok(None);
                }
            }
            for call in calls {
                if self.dies() {
                    self.note("died while sending");
                    return Ok(None);
                }
                self.watch.sending(engine, &call, self.now, stopped);
                self.send(call);
                sent += 1;
            }
        }
    }
}
