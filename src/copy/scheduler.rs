//! Which recovery point is started next. Pure: no clock, no I/O, no runtime, no AWS.
//!
//! AWS bounds copy jobs by resource type and by resource, not by caller (AWS Backup quotas), so
//! starts go round-robin over types, within a type round-robin over resources, and within a
//! resource oldest first, which keeps incremental copies small. Time is what the caller says it is:
//! a duration since the run began.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

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
    pub window: Window,
    /// Jobs in flight for one resource; AWS runs one at a time and allows 30.
    pub per_resource: usize,
    /// Jobs in flight by resource type.
    pub per_type: HashMap<String, usize>,
}

/// What is kept of each item. Those of one resource that wait are a list, which costs no memory of
/// its own: there are about as many resources as items.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    /// Number of its resource.
    resource: u32,
    /// The one behind it, if it waits.
    next: Link,
}

#[derive(Debug, Default)]
struct Resource {
    type_index: u16,
    in_ring: bool,
    in_flight: u32,
    /// The first that waits, and the last.
    first: Link,
    last: Link,
}

/// An item or none, in the room of an item: no vault has a place of that number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Link(ItemId);

impl Default for Link {
    fn default() -> Self {
        Self(ItemId {
            vault: u16::MAX,
            index: u32::MAX,
        })
    }
}

impl Link {
    fn item(self) -> Option<ItemId> {
        (self != Self::default()).then_some(self.0)
    }
}

#[derive(Debug)]
struct TypeQueue {
    name: Arc<str>,
    ring: VecDeque<u32>,
    in_flight: usize,
    cap: usize,
}

/// The queue of a run.
#[derive(Debug)]
pub struct Scheduler {
    limits: Limits,
    resources: Vec<Resource>,
    /// By the hash of the ARN. If two had the same, they would only wait for each other.
    resource_index: HashMap<u64, u32>,
    hasher: RandomState,
    types: Vec<TypeQueue>,
    next_type: usize,
    /// By vault, then by place in its ledger.
    slots: Vec<Vec<Slot>>,
    delayed: BinaryHeap<Reverse<(Duration, ItemId)>>,
    in_flight: usize,
    pending: usize,
    full: Option<Full>,
    /// The latest moment that it was told.
    now: Duration,
}

/// AWS has said that it takes no more jobs.
#[derive(Debug, Clone, Copy)]
struct Full {
    /// When that is doubted.
    until: Duration,
    /// Jobs that have ended since: so many may be started, and no more, or each job that ends would
    /// cost as many refused calls as there are workers.
    room: usize,
}

impl Scheduler {
    /// An empty queue.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            resources: Vec::new(),
            resource_index: HashMap::new(),
            hasher: RandomState::new(),
            types: Vec::new(),
            next_type: 0,
            slots: Vec::new(),
            delayed: BinaryHeap::new(),
            in_flight: 0,
            pending: 0,
            full: None,
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
        // Forgotten once it has passed, so that it wakes nobody again.
        self.full = self.full.filter(|full| now < full.until);
        if self.full.is_some_and(|full| full.room == 0) {
            return None;
        }
        if self.in_flight >= self.limits.window.size() && self.can_start() {
            self.limits.window.on_full(now);
        }
        if self.in_flight >= self.limits.window.size() {
            return None;
        }
        for step in 0..self.types.len() {
            let type_index = (self.next_type + step) % self.types.len();
            let queue = self.types.get_mut(type_index)?;
            if queue.in_flight >= queue.cap {
                continue;
            }
            let Some(resource_index) = queue.ring.pop_front() else {
                continue;
            };
            self.next_type = (type_index + 1) % self.types.len();
            self.resource(resource_index)?.in_ring = false;
            let id = self.pop_waiting(resource_index)?;
            self.pending -= 1;
            if let Some(full) = &mut self.full {
                full.room -= 1;
            }
            self.occupy(resource_index);
            self.ring_if_ready(resource_index);
            return Some(id);
        }
        None
    }

    /// Whether but for the window an item could be started.
    fn can_start(&self) -> bool {
        let ready = |queue: &TypeQueue| queue.in_flight < queue.cap && !queue.ring.is_empty();
        self.types.iter().any(ready)
    }

    /// A job has ended, or its start was refused for good: its slot is free.
    pub fn finished(&mut self, id: ItemId) {
        self.free(id);
        if let Some(full) = &mut self.full {
            full.room += 1;
        }
    }

    /// The item goes back to the queue and may start at `not_before`.
    pub fn requeue(&mut self, id: ItemId, not_before: Duration) {
        self.free(id);
        self.pending += 1;
        self.delayed.push(Reverse((not_before, id)));
    }

    /// AWS takes no more jobs: wait for one to end, but no longer than until `until`.
    pub fn quota_reached(&mut self, until: Duration) {
        // The item that was refused still holds its slot here.
        let others = self.in_flight.saturating_sub(1);
        self.limits.window.on_quota(others, self.now);
        self.full = Some(Full { until, room: 0 });
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
        match (delayed, self.full.map(|full| full.until)) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    fn register(&mut self, id: ItemId, resource_arn: &str, resource_type: &str) -> u32 {
        let hash = self.hasher.hash_one(resource_arn);
        let index = if let Some(index) = self.resource_index.get(&hash) {
            *index
        } else {
            // There are no more resources than items, whose numbers are of the same size.
            let index = u32::try_from(self.resources.len()).unwrap_or(u32::MAX);
            let type_index = self.type_index(resource_type);
            self.resources.push(Resource {
                type_index,
                ..Resource::default()
            });
            self.resource_index.insert(hash, index);
            index
        };
        let (vault, place) = places(id);
        if self.slots.len() <= vault {
            self.slots.resize(vault + 1, Vec::new());
        }
        if let Some(slots) = self.slots.get_mut(vault) {
            if slots.len() <= place {
                slots.resize(place + 1, Slot::default());
            }
            if let Some(slot) = slots.get_mut(place) {
                slot.resource = index;
            }
        }
        index
    }

    /// No item is added any more: what was needed for that goes.
    pub fn all_are_added(&mut self) {
        self.resource_index = HashMap::new();
        self.resources.shrink_to_fit();
    }

    fn slot(&mut self, id: ItemId) -> Option<&mut Slot> {
        let (vault, place) = places(id);
        self.slots.get_mut(vault)?.get_mut(place)
    }

    fn resource(&mut self, index: u32) -> Option<&mut Resource> {
        self.resources.get_mut(usize::try_from(index).ok()?)
    }

    fn type_of(&mut self, resource: u32) -> Option<&mut TypeQueue> {
        let type_index = self.resource(resource)?.type_index;
        self.types.get_mut(usize::from(type_index))
    }

    fn push_waiting(&mut self, id: ItemId, resource: u32) {
        let Some(resource) = self.resource(resource) else {
            return;
        };
        let last = resource.last.item();
        resource.last = Link(id);
        if last.is_none() {
            resource.first = Link(id);
        }
        if let Some(slot) = last.and_then(|last| self.slot(last)) {
            slot.next = Link(id);
        }
    }

    fn push_waiting_in_front(&mut self, id: ItemId, resource: u32) {
        let Some(resource) = self.resource(resource) else {
            return;
        };
        let first = std::mem::replace(&mut resource.first, Link(id));
        if first.item().is_none() {
            resource.last = Link(id);
        }
        if let Some(slot) = self.slot(id) {
            slot.next = first;
        }
    }

    fn pop_waiting(&mut self, resource: u32) -> Option<ItemId> {
        let first = self.resource(resource)?.first.item()?;
        let next = std::mem::take(&mut self.slot(first)?.next);
        let resource = self.resource(resource)?;
        resource.first = next;
        if next.item().is_none() {
            resource.last = next;
        }
        Some(first)
    }

    fn type_index(&mut self, name: &str) -> u16 {
        let known = self.types.iter().position(|t| &*t.name == name);
        let index = known.unwrap_or_else(|| {
            let cap = self.limits.per_type.get(name).copied().unwrap_or(usize::MAX);
            self.types.push(TypeQueue {
                name: name.into(),
                ring: VecDeque::new(),
                in_flight: 0,
                cap,
            });
            self.types.len() - 1
        });
        // AWS has some tens of types.
        u16::try_from(index).unwrap_or(u16::MAX)
    }

    fn enqueue(&mut self, id: ItemId, resource: u32) {
        self.push_waiting(id, resource);
        self.pending += 1;
        self.ring_if_ready(resource);
    }

    fn ring_if_ready(&mut self, index: u32) {
        let per_resource = self.limits.per_resource;
        let Some(resource) = self.resource(index) else {
            return;
        };
        let in_flight = usize::try_from(resource.in_flight).unwrap_or(usize::MAX);
        if !resource.in_ring && resource.first.item().is_some() && in_flight < per_resource {
            resource.in_ring = true;
            if let Some(queue) = self.type_of(index) {
                queue.ring.push_back(index);
            }
        }
    }

    fn occupy(&mut self, index: u32) {
        self.in_flight += 1;
        if let Some(resource) = self.resource(index) {
            resource.in_flight += 1;
        }
        if let Some(queue) = self.type_of(index) {
            queue.in_flight += 1;
        }
    }

    fn free(&mut self, id: ItemId) {
        let Some(index) = self.slot(id).map(|slot| slot.resource) else {
            return;
        };
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Some(resource) = self.resource(index) {
            resource.in_flight = resource.in_flight.saturating_sub(1);
        }
        if let Some(queue) = self.type_of(index) {
            queue.in_flight = queue.in_flight.saturating_sub(1);
        }
        self.ring_if_ready(index);
    }

    fn release_delayed(&mut self, now: Duration) {
        while let Some(Reverse((at, id))) = self.delayed.peek().copied() {
            if at > now {
                break;
            }
            self.delayed.pop();
            if let Some(resource) = self.slot(id).map(|slot| slot.resource) {
                // To the front: it was taken once, so it is the oldest of its resource.
                self.push_waiting_in_front(id, resource);
                self.ring_if_ready(resource);
            }
        }
    }
}

fn places(id: ItemId) -> (usize, usize) {
    (
        usize::from(id.vault),
        usize::try_from(id.index).unwrap_or(usize::MAX),
    )
}

#[cfg(test)]
mod tests;
