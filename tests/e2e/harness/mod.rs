//! Real Kubernetes control planes for the tests.
//!
//! ```ignore
//! #[tokio::test]
//! async fn pods_move_with_the_association() {
//!     let plane = Plane::shared();                        // or Plane::start(Config::named("east"))
//!     let shop = plane.namespace("shop").await;           // a name that no other test uses
//!     let associations = shop.associations();             // or plane.feed("shop", closure)
//!     shop.create_object(&objects::service_account("cart", Some(ROLE))).await;
//!     shop.create_object(&objects::deployment("cart", "cart", 3)).await;
//!     shop.rolled_out::<Deployment>("cart").await;
//!     associations.add("cart");
//!     // run the program with plane.kubeconfig("shop", User::Admin)
//!     assert_eq!(shop.modes("cart").await, [Mode::PodIdentity].into());
//! }
//! ```
//!
//! On a plane of one's own with several namespaces, `plane.feed_all(closure)` asks
//! the closure `(replica, namespace, service_account) -> Option<AssociationView>`
//! for each pod, so a simulated AWS decides what each replica may see by now.
//!
//! A wait watches for its state and panics with what it saw when patience is
//! over; a failing test prints the ends of the servers' logs.

mod audit;
mod aws;
mod balance;
mod boot;
mod hooks;
mod kubeconfig;
mod namespace;
pub(crate) mod objects;
mod pki;
mod plane;
mod process;
mod relay;
mod tokens;
mod tools;
pub(crate) mod wait;
mod webhook;

pub(crate) use audit::{AUDITED, Audited};
pub(crate) use aws::Emulator;
pub(crate) use kubeconfig::User;
pub(crate) use namespace::{Mode, TestNamespace};
pub(crate) use plane::{Config, Plane};
pub(crate) use relay::{Asked, Decide, Fate, Relay};
pub(crate) use tokens::{Identity, eks_token};
pub(crate) use webhook::AssociationView;
