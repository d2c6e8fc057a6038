use std::time::Duration;

use tokio::time::timeout;
use uuid::Uuid;

use super::*;

const COMPANY: CompanyId = CompanyId(Uuid::from_u128(1));
const OTHER: CompanyId = CompanyId(Uuid::from_u128(2));

async fn wakes(moved: &mut Moved, position: i64) -> bool {
    timeout(Duration::from_millis(50), moved.past(position)).await.is_ok()
}

#[tokio::test]
async fn a_reader_is_woken_by_heads_above_its_position_and_by_no_others() {
    let signals = Signals::default();
    let mut moved = signals.watch(COMPANY);
    assert!(!wakes(&mut moved, 0).await);
    signals.moved(&[(OTHER, 9), (COMPANY, 3)]);
    assert!(wakes(&mut moved, 0).await);
    assert!(!wakes(&mut moved, 3).await);
    signals.moved(&[(COMPANY, 2)]);
    assert!(!wakes(&mut moved, 3).await, "commits may be told of out of their order");
    signals.heard(&[(COMPANY, 4)]);
    assert!(wakes(&mut moved, 3).await);
}

#[tokio::test]
async fn a_head_that_the_log_does_not_have_wakes_its_reader_only_once() {
    let signals = Signals::default();
    let mut moved = signals.watch(COMPANY);
    signals.heard(&[(COMPANY, 1_000)]);
    assert!(wakes(&mut moved, 5).await);
    assert!(!wakes(&mut moved, 5).await, "the log had nothing above 5");
    signals.moved(&[(COMPANY, 6)]);
    assert!(wakes(&mut moved, 5).await, "this one is true");
    assert!(!wakes(&mut moved, 6).await);
}

#[tokio::test]
async fn a_look_wakes_every_reader_once() {
    let signals = Signals::default();
    let (mut one, mut another, mut other) = (signals.watch(COMPANY), signals.watch(COMPANY), signals.watch(OTHER));
    signals.shared.look(None);
    for moved in [&mut one, &mut another, &mut other] {
        assert!(wakes(moved, 7).await);
        assert!(!wakes(moved, 7).await);
    }
    signals.shared.look(Some(OTHER));
    assert!(!wakes(&mut one, 7).await);
    assert!(wakes(&mut other, 7).await);
    let mut late = signals.watch(COMPANY);
    assert!(!wakes(&mut late, 7).await, "who comes later has just looked");
}

#[test]
fn a_wire_is_told_who_is_waited_for_and_who_no_longer() {
    let signals = Signals::default();
    let wire = Arc::new(Wire::new("test", Traffic::default()));
    signals.shared.wire.set(wire.clone()).unwrap();
    let one = signals.watch(COMPANY);
    let another = signals.watch(COMPANY);
    assert_eq!(wire.turned(), HashSet::from([COMPANY]));
    assert!(signals.shared.is_watched(COMPANY));
    drop(one);
    assert_eq!(wire.turned(), HashSet::new(), "one is still there");
    drop(another);
    assert_eq!(wire.turned(), HashSet::from([COMPANY]));
    assert!(!signals.shared.is_watched(COMPANY));
}

#[tokio::test]
async fn what_is_to_be_told_is_one_head_a_company_and_never_more_than_a_bound() {
    let wire = Wire::new("test", Traffic::default());
    for position in [3, 1, 2] {
        wire.tell(&[(COMPANY, position)]);
    }
    wire.tell(&[(OTHER, 1)]);
    let heads = wire.next().await;
    assert_eq!(heads, HashMap::from([(COMPANY, 3), (OTHER, 1)]));
    wire.tell(&[(COMPANY, 5)]);
    wire.again(heads);
    assert_eq!(wire.next().await, HashMap::from([(COMPANY, 5), (OTHER, 1)]), "what was not told is told with the rest");
    wire.done();
    assert!(timeout(Duration::from_millis(50), wire.next()).await.is_err());

    for company in 0..20_000 {
        wire.tell(&[(CompanyId(Uuid::from_u128(company)), 1)]);
    }
    wire.tell(&[(CompanyId(Uuid::from_u128(0)), 2)]);
    let heads = wire.next().await;
    assert_eq!((heads.len(), heads[&CompanyId(Uuid::from_u128(0))]), (MOST_UNTOLD, 2));
}

#[tokio::test]
async fn the_end_waits_until_all_is_told_and_not_for_ever() {
    let wire = Arc::new(Wire::new("test", Traffic::default()));
    let link = Link { wire: wire.clone(), task: None };
    assert!(link.close(Duration::from_secs(1)).await, "there was nothing to tell");
    wire.tell(&[(COMPANY, 1)]);
    assert!(!link.close(Duration::from_secs(1)).await);
    let telling = tokio::spawn(async move {
        let heads = wire.next().await;
        assert_eq!(heads.len(), 1);
        tokio::time::sleep(Duration::from_millis(500)).await;
        wire.done();
    });
    assert!(link.close(Duration::from_secs(1)).await);
    telling.await.unwrap();
}

#[tokio::test]
async fn a_bus_that_takes_nothing_is_complained_of_although_it_brings_everything() {
    let traffic = Traffic::default();
    let wire = Arc::new(Wire::new("test", traffic.clone()));
    let link = Link { wire: wire.clone(), task: None };
    assert_eq!(link.complaint(), None);
    wire.here();
    wire.tell(&[(COMPANY, 1), (OTHER, 1)]);
    let oldest = wire.standing().oldest.expect("two wait");
    let heads = wire.next().await;
    assert_eq!(wire.standing().waiting, 2);
    wire.tell(&[(COMPANY, 2)]);
    assert_eq!(wire.standing().waiting, 3);
    wire.again(heads);
    assert!(link.complaint().is_some_and(|it| it.starts_with("takes nothing")), "{:?}", link.complaint());
    let standing = wire.standing();
    assert!(standing.hears && !standing.tells);
    assert_eq!(standing.waiting, 2);
    assert!(standing.oldest.is_some_and(|now| now >= oldest), "they have waited since they were told of first");
    assert_eq!((traffic.failures.get(), traffic.told.get()), (1, 0));
    wire.next().await;
    wire.done();
    assert_eq!(link.complaint(), None);
    let standing = wire.standing();
    assert_eq!((standing.waiting, standing.oldest), (0, None));
    assert_eq!((traffic.failures.get(), traffic.told.get()), (1, 2));
    wire.away(&"it is gone");
    assert!(link.complaint().is_some_and(|it| it.starts_with("away")), "{:?}", link.complaint());
}
