//! What a caller was last told of each thing.

use std::collections::BTreeMap;

use crate::inventory::{Association, Pod, Role, ServiceAccount, WorkloadRef};
use crate::model::{ClusterArn, RoleArn, Subject};
use crate::ports::{PortError, WorkloadNow};
use crate::sim::{Call, Record, Reply};

/// A last answer, with its place in the history; `None` where there was no such thing.
type Told<'a, T> = (usize, Option<&'a T>);

/// The last answers to one caller.
#[derive(Default)]
pub(super) struct Looks<'a> {
    roles: BTreeMap<&'a RoleArn, Told<'a, Role>>,
    associations: BTreeMap<&'a Subject, Told<'a, Association>>,
    accounts: BTreeMap<&'a Subject, Told<'a, ServiceAccount>>,
    workloads: BTreeMap<(&'a ClusterArn, &'a WorkloadRef), Told<'a, WorkloadNow>>,
    pods: BTreeMap<(&'a ClusterArn, &'a str), &'a Pod>,
}

impl<'a> Looks<'a> {
    pub(super) fn add(&mut self, place: usize, record: &'a Record) {
        let is_absent = matches!(record.error, Some(PortError::NotFound(_)));
        match (&record.call, &record.reply) {
            (Call::Role(arn), Some(Reply::Role(it))) => {
                self.roles.insert(arn, (place, Some(it)));
            }
            (Call::Role(arn), None) if is_absent => {
                self.roles.insert(arn, (place, None));
            }
            (Call::AssociationOf(subject), Some(Reply::AssociationOf(it))) => {
                self.associations.insert(subject, (place, it.as_ref()));
            }
            (Call::AssociationOf(subject), None) if is_absent => {
                self.associations.insert(subject, (place, None));
            }
            (Call::ServiceAccount(subject), Some(Reply::ServiceAccount(it))) => {
                self.accounts.insert(subject, (place, it.as_ref()));
            }
            (Call::Workload { cluster, at }, Some(Reply::Workload(it))) => {
                self.workloads.insert((cluster, at), (place, it.as_ref()));
            }
            (Call::PodsOf(subject), Some(Reply::Pods(all))) => {
                self.pods.extend(all.iter().map(|it| ((&subject.cluster, it.uid.as_str()), it)));
            }
            _ => {}
        }
    }

    /// The association of this ServiceAccount, as it was last told of, ever.
    pub(super) fn association(&self, subject: &Subject) -> Option<&'a Association> {
        self.associations.get(subject)?.1
    }

    pub(super) fn pod(&self, cluster: &ClusterArn, uid: &str) -> Option<&'a Pod> {
        self.pods.get(&(cluster, uid)).copied()
    }
}

/// What a caller was told since a place in the history.
pub(super) struct Since<'l, 'a> {
    pub(super) looks: &'l Looks<'a>,
    pub(super) place: usize,
}

impl<'a> Since<'_, 'a> {
    fn told<T>(&self, it: Option<&Told<'a, T>>, what: impl FnOnce() -> String) -> Result<Option<&'a T>, String> {
        let told = it.filter(|(place, _)| *place >= self.place).map(|(_, it)| *it);
        told.ok_or_else(|| format!("{} was not looked at before", what()))
    }

    pub(super) fn role(&self, role: &RoleArn) -> Result<&'a Role, String> {
        let found = self.told(self.looks.roles.get(role), || role.to_string())?;
        found.ok_or_else(|| format!("{role} was not there at the last look"))
    }

    pub(super) fn association(&self, subject: &Subject) -> Result<Option<&'a Association>, String> {
        self.told(self.looks.associations.get(subject), || format!("the association of {subject}"))
    }

    /// As it was last told of, ever: a unit that was begun earlier is not looked at anew.
    pub(super) fn account(&self, subject: &Subject) -> Result<&'a ServiceAccount, String> {
        let found = self.looks.accounts.get(subject).and_then(|(_, it)| *it);
        found.ok_or_else(|| format!("{subject} was not there at the last look"))
    }

    pub(super) fn workload(&self, cluster: &ClusterArn, at: &WorkloadRef) -> Result<&'a WorkloadNow, String> {
        let found = self.told(self.looks.workloads.get(&(cluster, at)), || at.to_string())?;
        found.ok_or_else(|| format!("{at} was not there at the last look"))
    }
}
