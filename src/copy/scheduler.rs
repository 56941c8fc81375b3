//! Which recovery point is started next. Pure: no clock, no I/O, no runtime, no AWS.
//!
//! AWS bounds copy jobs by resource type and by resource, not by caller (AWS Backup quotas), so
//! starts go round-robin over types, within a type round-robin over resources, and within a
//! resource oldest first, which keeps incremental copies small. Where AWS takes no more jobs of a type,
//! those of other quotas go on. Time is what the caller says it is: a duration since the run began.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::assumptions::Quota;
use super::resource_queues::ResourceQueues;
use super::share::Share;
use super::window::Window;

/// An item: its vault's place in the run and its place in that vault's ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ItemId {
    /// Index of the vault.
    pub vault: u16,
    /// Index in the ledger.
    pub index: u32,
}

/// The bounds of a run.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Jobs in flight altogether.
    pub in_flight: usize,
    /// If AWS's limits are to be found: jobs in flight at first, of the types of each of its quotas.
    pub found_from: Option<usize>,
    /// Jobs in flight for one resource; AWS runs one at a time and allows 30.
    pub per_resource: usize,
    /// Jobs in flight by resource type. One above AWS's default quota says that the quota was raised.
    pub per_type: BTreeMap<String, usize>,
}

#[derive(Debug)]
struct TypeQueue {
    name: Arc<str>,
    quota: Option<&'static Quota>,
    share: usize,
    ring: VecDeque<u32>,
    in_flight: usize,
    cap: usize,
}

/// The queue of a run.
#[derive(Debug)]
pub struct Scheduler {
    limits: Limits,
    resources: ResourceQueues,
    types: Vec<TypeQueue>,
    next_type: usize,
    shares: Vec<Share>,
    delayed: BinaryHeap<Reverse<(Duration, ItemId)>>,
    in_flight: usize,
    pending: usize,
    /// The latest moment that it was told.
    now: Duration,
}

impl Scheduler {
    /// An empty queue.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            resources: ResourceQueues::default(),
            types: Vec::new(),
            next_type: 0,
            shares: Vec::new(),
            delayed: BinaryHeap::new(),
            in_flight: 0,
            pending: 0,
            now: Duration::ZERO,
        }
    }

    /// Adds an item that waits. The caller adds those of one resource oldest first.
    pub fn add_pending(&mut self, id: ItemId, resource_arn: &str, resource_type: &str) {
        let resource = self.register(id, resource_arn, resource_type);
        self.enqueue(id, resource);
    }

    /// Adds an item whose job is under way already.
    pub fn add_in_flight(&mut self, id: ItemId, resource_arn: &str, resource_type: &str) {
        let resource = self.register(id, resource_arn, resource_type);
        self.occupy(resource);
    }

    /// The next item to start at `now`, whose slot is taken from this moment on.
    pub fn take_start(&mut self, now: Duration) -> Option<ItemId> {
        self.release_delayed(now);
        self.now = now;
        for share in &mut self.shares {
            share.forget_refusal(now);
        }
        if self.in_flight >= self.limits.in_flight {
            return None;
        }
        let resource_index = self.next_ready(now)?;
        self.resources.get_mut(resource_index)?.in_ring = false;
        let id = self.resources.pop_front(resource_index)?;
        self.pending -= 1;
        self.share_of(resource_index)?.started();
        self.occupy(resource_index);
        self.ring_if_ready(resource_index);
        Some(id)
    }

    /// The resource whose turn it is, of the next type that has room.
    fn next_ready(&mut self, now: Duration) -> Option<u32> {
        let types = self.types.len();
        for step in 0..types {
            let type_index = (self.next_type + step) % types;
            let queue = self.types.get_mut(type_index)?;
            let is_ready = queue.in_flight < queue.cap && !queue.ring.is_empty();
            if is_ready && self.shares.get_mut(queue.share)?.has_room(now) {
                self.next_type = (type_index + 1) % types;
                return queue.ring.pop_front();
            }
        }
        None
    }

    /// Where AWS's limits are found: those that have changed since the last call, each with one of its types.
    pub fn changed_windows(&mut self) -> Vec<(String, usize)> {
        let (types, shares) = (&self.types, &mut self.shares);
        let changed = shares.iter_mut().enumerate().filter_map(|(number, share)| {
            let size = share.changed_window()?;
            let of_it = types.iter().find(|t| t.share == number)?;
            Some((of_it.name.to_string(), size))
        });
        changed.collect()
    }

    /// A job has ended, or its start was refused for good: its slot is free.
    pub fn finished(&mut self, id: ItemId) {
        if let Some(resource) = self.free(id)
            && let Some(share) = self.share_of(resource)
        {
            share.ended();
        }
    }

    /// The item goes back to the queue and may start at `not_before`.
    pub fn requeue(&mut self, id: ItemId, not_before: Duration) {
        self.free(id);
        self.pending += 1;
        self.delayed.push(Reverse((not_before, id)));
    }

    /// AWS took no job of the item, which still holds its slot, for it runs as many as it may of its type:
    /// wait for one of those to end, but no longer than until `until`.
    pub fn quota_reached(&mut self, id: ItemId, until: Duration) {
        let now = self.now;
        let resource = self.resources.resource_of(id);
        if let Some(share) = resource.and_then(|resource| self.share_of(resource)) {
            share.refused(now, until);
        }
    }

    /// Jobs under way, and items being started.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Items that wait.
    pub fn pending(&self) -> usize {
        self.pending
    }

    /// When waiting alone makes a start possible again.
    pub fn next_wake(&self) -> Option<Duration> {
        let delayed = self.delayed.peek().map(|Reverse((at, _))| *at);
        let full = self.shares.iter().filter_map(Share::full_until);
        full.chain(delayed).min()
    }

    fn register(&mut self, id: ItemId, resource_arn: &str, resource_type: &str) -> u32 {
        let (types, shares, limits) = (&mut self.types, &mut self.shares, &self.limits);
        let type_index = || type_index(types, shares, limits, resource_type);
        self.resources.register(id, resource_arn, type_index)
    }

    /// No item is added any more: what was needed for that goes.
    pub fn all_are_added(&mut self) {
        self.resources.all_are_known();
    }

    fn type_of(&mut self, resource: u32) -> Option<&mut TypeQueue> {
        let type_index = self.resources.get_mut(resource)?.type_index;
        self.types.get_mut(usize::from(type_index))
    }

    fn share_of(&mut self, resource: u32) -> Option<&mut Share> {
        let share = self.type_of(resource)?.share;
        self.shares.get_mut(share)
    }

    fn enqueue(&mut self, id: ItemId, resource: u32) {
        self.resources.push_back(id, resource);
        self.pending += 1;
        self.ring_if_ready(resource);
    }

    fn ring_if_ready(&mut self, index: u32) {
        let per_resource = self.limits.per_resource;
        let Some(resource) = self.resources.get_mut(index) else {
            return;
        };
        let in_flight = usize::try_from(resource.in_flight).unwrap_or(usize::MAX);
        if !resource.in_ring && resource.has_waiting() && in_flight < per_resource {
            resource.in_ring = true;
            if let Some(queue) = self.type_of(index) {
                queue.ring.push_back(index);
            }
        }
    }

    fn occupy(&mut self, index: u32) {
        self.in_flight += 1;
        if let Some(resource) = self.resources.get_mut(index) {
            resource.in_flight += 1;
        }
        if let Some(queue) = self.type_of(index) {
            queue.in_flight += 1;
        }
        if let Some(share) = self.share_of(index) {
            share.occupied();
        }
    }

    /// Answers the item's resource.
    fn free(&mut self, id: ItemId) -> Option<u32> {
        let index = self.resources.resource_of(id)?;
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Some(resource) = self.resources.get_mut(index) {
            resource.in_flight = resource.in_flight.saturating_sub(1);
        }
        if let Some(queue) = self.type_of(index) {
            queue.in_flight = queue.in_flight.saturating_sub(1);
        }
        if let Some(share) = self.share_of(index) {
            share.freed();
        }
        self.ring_if_ready(index);
        Some(index)
    }

    fn release_delayed(&mut self, now: Duration) {
        while let Some(Reverse((at, id))) = self.delayed.peek().copied() {
            if at > now {
                break;
            }
            self.delayed.pop();
            if let Some(resource) = self.resources.resource_of(id) {
                // To the front: it was taken once, so it is the oldest of its resource.
                self.resources.push_front(id, resource);
                self.ring_if_ready(resource);
            }
        }
    }
}

fn type_index(types: &mut Vec<TypeQueue>, shares: &mut Vec<Share>, limits: &Limits, name: &str) -> u16 {
    let known = types.iter().position(|t| &*t.name == name);
    let index = known.unwrap_or_else(|| {
        let quota = Quota::of(name);
        let same = quota.and_then(|_| types.iter().find(|t| t.quota == quota));
        // A type of which no quota is known has a share of its own.
        let share = same.map_or_else(|| add_share(shares, limits, quota), |t| t.share);
        types.push(TypeQueue {
            name: name.into(),
            quota,
            share,
            ring: VecDeque::new(),
            in_flight: 0,
            cap: limits.per_type.get(name).copied().unwrap_or(usize::MAX),
        });
        types.len() - 1
    });
    // AWS has some tens of types.
    u16::try_from(index).unwrap_or(u16::MAX)
}

fn add_share(shares: &mut Vec<Share>, limits: &Limits, quota: Option<&Quota>) -> usize {
    let expected = quota.map_or(usize::MAX, |quota| quota.raised_by(&limits.per_type));
    let window = limits.found_from.map(|size| Window::new(size, expected));
    shares.push(Share::new(window));
    shares.len() - 1
}

#[cfg(test)]
mod tests;
