//! The tree against one that forgets nobody: a list of parents, and a flag for each.

use super::CancelToken;
use crate::sync::test_kit::Task;
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
enum Op {
    Child(usize),
    Drop(usize),
    Cancel(usize),
    Wait(usize),
    DropWait(usize),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        8 => (0..64_usize).prop_map(Op::Child),
        6 => (0..64_usize).prop_map(Op::Drop),
        1 => (0..64_usize).prop_map(Op::Cancel),
        2 => (0..64_usize).prop_map(Op::Wait),
        1 => (0..64_usize).prop_map(Op::DropWait),
    ];
    proptest::collection::vec(op, 0..120)
}

struct Named {
    parent: Option<usize>,
    cancelled: bool,
    token: Option<CancelToken>,
    waiting: Vec<Task<'static, ()>>,
}

impl Named {
    fn is_alive(&self) -> bool {
        self.token.is_some() || !self.waiting.is_empty()
    }
}

/// The numbers of those whose token is still there.
fn held(all: &[Named]) -> Vec<usize> {
    (0..all.len()).filter(|n| all[*n].token.is_some()).collect()
}

/// How many entries the tree is to have: whoever is alive, and whoever holds branches together.
fn expected_entries(all: &[Named]) -> usize {
    let mut branches = vec![0; all.len()];
    let mut entries = 0;
    // Children come after their parents.
    for n in (0..all.len()).rev().filter(|n| !all[*n].cancelled) {
        let own = all[n].is_alive() || branches[n] >= 2;
        entries += usize::from(own);
        if let Some(parent) = all[n].parent {
            branches[parent] += usize::from(own || branches[n] == 1);
        }
    }
    entries
}

proptest! {
    #[test]
    fn behaves_as_a_list_of_parents(ops in ops()) {
        let root = CancelToken::new();
        let mut all = vec![Named {
            parent: None,
            cancelled: false,
            token: Some(root),
            waiting: Vec::new(),
        }];
        for op in ops {
            let held = held(&all);
            let pick = |n: usize| held.get(n % held.len().max(1)).copied();
            match op {
                Op::Child(n) => if let Some(n) = pick(n) {
                    let token = all[n].token.as_ref().map(CancelToken::child_token);
                    let cancelled = all[n].cancelled;
                    all.push(Named { parent: Some(n), cancelled, token, waiting: Vec::new() });
                }
                Op::Drop(n) => if let Some(n) = pick(n) {
                    all[n].token = None;
                }
                Op::Cancel(n) => if let Some(n) = pick(n) {
                    all[n].token.as_ref().unwrap().cancel();
                    all[n].cancelled = true;
                    for m in n + 1..all.len() {
                        all[m].cancelled |= all[m].parent.is_some_and(|p| all[p].cancelled);
                    }
                    for one in all.iter_mut().filter(|one| one.cancelled) {
                        one.waiting.drain(..).for_each(Task::woken);
                    }
                }
                Op::Wait(n) => if let Some(n) = pick(n) {
                    let mut task = Task::new(all[n].token.clone().unwrap().cancelled_owned());
                    if all[n].cancelled {
                        prop_assert!(task.poll().is_ready());
                    } else {
                        prop_assert!(task.poll().is_pending());
                        all[n].waiting.push(task);
                    }
                }
                Op::DropWait(n) => {
                    let waiting: Vec<_> =
                        (0..all.len()).filter(|n| !all[*n].waiting.is_empty()).collect();
                    if let Some(n) = waiting.get(n % waiting.len().max(1)) {
                        all[*n].waiting.pop();
                    }
                }
            }
            for one in &all {
                if let Some(token) = &one.token {
                    prop_assert_eq!(token.is_cancelled(), one.cancelled);
                }
                prop_assert!(one.waiting.iter().all(|task| task.bell.rings() == 0));
            }
            let seen = all.iter().filter(|one| !one.cancelled).find_map(|one| one.token.as_ref());
            if let Some(token) = seen {
                prop_assert_eq!(token.node.entries(), expected_entries(&all));
            }
        }
    }
}
