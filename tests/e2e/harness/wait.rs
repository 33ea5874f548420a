//! Creating objects, and waiting for a state by watching.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use futures::TryStreamExt;
use kube::Resource;
use kube::api::{Api, ListParams, PostParams, WatchEvent, WatchParams};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How long a state may take to come about. It ends a wait that would never end;
/// no test passes or fails by how fast this machine is.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Between two looks at what cannot be watched: what is waited for needs the processor too.
pub(crate) async fn a_moment() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}

/// What an object must be able to do to be created and watched.
pub(crate) trait Object: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Serialize {}
impl<K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Serialize> Object for K {}

/// Creates an object that the server must take.
pub(crate) async fn create<K: Object>(api: &Api<K>, object: &K) -> K {
    api.create(&PostParams::default(), object).await.unwrap_or_else(|error| {
        let name = object.meta().name.as_deref().unwrap_or_default();
        panic!("{} {name} is not created: {error}", K::kind(&()))
    })
}

/// Waits until `done` is true of the objects with the label selector `labels`, by
/// name, and returns them. Panics with all of them when patience is over.
pub(crate) async fn until<K: Object>(
    api: &Api<K>,
    labels: &str,
    what: &str,
    done: impl Fn(&BTreeMap<String, K>) -> bool,
) -> BTreeMap<String, K> {
    follow(api, ListParams::default().labels(labels), WatchParams::default().labels(labels), what, done).await
}

/// The same for one object by name; `None` where there is none.
pub(crate) async fn until_one<K: Object>(
    api: &Api<K>,
    name: &str,
    what: &str,
    done: impl Fn(Option<&K>) -> bool,
) -> Option<K> {
    let field = format!("metadata.name={name}");
    let (list, watch) = (ListParams::default().fields(&field), WatchParams::default().fields(&field));
    follow(api, list, watch, what, |found| done(found.get(name))).await.remove(name)
}

async fn follow<K: Object>(
    api: &Api<K>,
    list: ListParams,
    watch: WatchParams,
    what: &str,
    done: impl Fn(&BTreeMap<String, K>) -> bool,
) -> BTreeMap<String, K> {
    let mut seen = BTreeMap::new();
    let following = async {
        // A watch ends by itself now and then; listing again starts the next one.
        while !once(api, &list, &watch, &mut seen, &done).await? {}
        Ok::<(), kube::Error>(())
    };
    match tokio::time::timeout(PATIENCE, following).await {
        Ok(Ok(())) => seen,
        Ok(Err(error)) => panic!("waiting until {what}: {error}"),
        Err(_) => panic!("not in time: {what}\n{}", serde_json::to_string_pretty(&seen).unwrap_or_default()),
    }
}

/// One list and one watch; true as soon as `done` is.
async fn once<K: Object>(
    api: &Api<K>,
    list: &ListParams,
    watch: &WatchParams,
    seen: &mut BTreeMap<String, K>,
    done: &impl Fn(&BTreeMap<String, K>) -> bool,
) -> Result<bool, kube::Error> {
    let found = api.list(list).await?;
    *seen = found.items.into_iter().map(|object| (object.meta().name.clone().unwrap_or_default(), object)).collect();
    if done(seen) {
        return Ok(true);
    }
    let version = found.metadata.resource_version.unwrap_or_default();
    let mut events = Box::pin(api.watch(watch, &version).await?);
    while let Some(event) = events.try_next().await? {
        match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                seen.insert(object.meta().name.clone().unwrap_or_default(), object);
            }
            WatchEvent::Deleted(object) => {
                seen.remove(object.meta().name.as_deref().unwrap_or_default());
            }
            WatchEvent::Bookmark(_) => {}
            WatchEvent::Error(_) => return Ok(false),
        }
        if done(seen) {
            return Ok(true);
        }
    }
    Ok(false)
}
