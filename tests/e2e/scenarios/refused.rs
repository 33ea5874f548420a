//! The world moved between the plan and its apply.

use super::stage::Stage;

#[tokio::test]
async fn a_trust_policy_that_somebody_edited_is_left_alone() {
    let stage = Stage::shared("edited", |world| world.role("cart", &[("edited", "cart")])).await;
    stage.app("cart", "cart", 1).await;
    let planned = stage.plan().await;
    let role = stage.role("cart");
    let theirs = stage.wire.world().trust_now(&role).expect("a policy").replacen("\"Allow\"", "\"Deny\"", 1);
    stage.wire.world().edit_trust(&role, Some(&theirs)).expect("the role");
    let before = stage.state().await;
    stage.wire.forget();

    let ran = stage.apply(&planned).await.ended(20);
    assert!(ran.stderr.contains("trust policy"), "it says what moved\n{}", ran.whole());
    assert_eq!(stage.wire.writes(), []);
    assert_eq!(stage.patches(), Vec::<String>::new());
    assert_eq!(stage.state().await, before);
}
