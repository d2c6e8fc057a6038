//! Who calls: tokens that hold and tokens that don't, over the API.

use std::time::Duration;

use chrono::TimeDelta;
use cosell::domain::clock::Clock as _;
use cosell::server::RunningServer;
use jsonwebtoken::{Algorithm, Header};
use serde_json::{Value, json};

use crate::on_both_databases;
use crate::support::http::{Answer, Client};
use crate::support::keys::{Issuer, Key, claims, hs256, tampered, unsigned, unsigned_with};
use crate::support::rows::Rows;
use crate::support::world::{SECRET, World};
use crate::support::ws::Socket;

const PATIENCE: Duration = Duration::from_secs(20);

/// A good token's claims.
fn good(world: &World) -> Value {
    claims("ann", "acme", &["ADMIN"], world.clock.now())
}

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

fn without(mut claims: Value, name: &str) -> Value {
    claims.as_object_mut().expect("an object").remove(name);
    claims
}

async fn viewer(server: &RunningServer, token: &str) -> Answer {
    let client = Client::new(server.addr, Some(token));
    client.query("{ viewer { name email roles company { slug } } }", json!({})).await
}

/// Refused over HTTP and over a websocket.
async fn refused(server: &RunningServer, token: &str, why: &str) {
    let answer = viewer(server, token).await;
    assert_eq!(answer.code(), "UNAUTHENTICATED", "{why}");
    assert!(answer.data.is_null(), "{why}");
    let mut socket = Socket::open(server.addr).await;
    socket.init(Some(token));
    let close = socket.closed_within(PATIENCE).await;
    assert_eq!(close.code, 4403, "{why}: {close:?}");
}

/// Tokens that no key source may take, all but for the signature; `sign` makes the signature.
async fn refuses_what_is_wrong(world: &World, server: &RunningServer, sign: impl Fn(&Value) -> String) {
    let now = world.clock.now().timestamp();
    let token = sign(&good(world));
    viewer(server, &token).await.ok();
    let bad = [
        ("expired", with(good(world), "exp", json!(now - 60))),
        ("not valid yet", with(good(world), "nbf", json!(now + 600))),
        ("of another issuer", with(good(world), "iss", json!("https://evil.example"))),
        ("for another audience", with(good(world), "aud", json!("another"))),
        ("for other audiences", with(good(world), "aud", json!(["another", "a third"]))),
        ("without exp", without(good(world), "exp")),
        ("without iss", without(good(world), "iss")),
        ("without aud", without(good(world), "aud")),
        ("without sub", without(good(world), "sub")),
        ("with a blank sub", with(good(world), "sub", json!("  "))),
        ("with a sub of control characters", with(good(world), "sub", json!("an\u{0}n"))),
        ("with a sub that is a number", with(good(world), "sub", json!(7))),
        ("without company", without(good(world), "company")),
        ("of an unknown company", with(good(world), "company", json!("nowhere"))),
        ("of a company that is no slug", with(good(world), "company", json!("'; DROP TABLE company --"))),
        ("without roles", without(good(world), "roles")),
        ("with roles that are no list of names", with(good(world), "roles", json!([1, 2]))),
        ("with exp as text", with(good(world), "exp", json!("tomorrow"))),
    ];
    for (why, claims) in bad {
        refused(server, &sign(&claims), why).await;
    }
    let others = with(good(world), "company", json!("globex"));
    let signature = token.rsplit('.').next().expect("a signature");
    let headless = format!("e30.{}", token.split_once('.').expect("parts").1);
    let broken = [
        ("tampered with", tampered(&token, &others)),
        ("unsigned", unsigned(&good(world))),
        ("unsigned, in another case", unsigned_with(&json!({ "alg": "NONE" }), &good(world))),
        ("unsigned, with the name of an algorithm", unsigned_with(&json!({ "alg": "HS256" }), &good(world))),
        ("by another secret", hs256(b"another secret, which is long enough too", &good(world))),
        ("cut off", token[..token.len() - 4].to_owned()),
        ("without its signature", token.strip_suffix(signature).expect("a suffix").to_owned()),
        ("with an empty header", headless),
        ("no token", "abc".to_owned()),
        ("three parts of nothing", "..".to_owned()),
        ("very long", "a".repeat(20_000)),
    ];
    for (why, token) in broken {
        // Headers of that length may be refused before anyone looks at them.
        if token.len() < 8_000 {
            refused(server, &token, why).await;
        }
    }
}

on_both_databases! {
    async fn a_token_by_the_shared_secret_has_to_hold(world: World) {
        let rows = Rows::of(&world.database).await;
        viewer(world.server(), &hs256(SECRET.as_bytes(), &good(&world))).await.ok();
        let before = rows.now().await;
        refuses_what_is_wrong(&world, world.server(), |claims| hs256(SECRET.as_bytes(), claims)).await;
        rows.unchanged_since(&before, "a token that does not hold").await;
    }

    async fn a_token_ends_when_it_says_so(world: World) {
        let token = hs256(SECRET.as_bytes(), &good(&world));
        viewer(world.server(), &token).await.ok();
        world.clock.advance(TimeDelta::hours(2));
        refused(world.server(), &token, "of two hours ago").await;
    }

    async fn without_a_token_nothing_is_answered_but_the_schema(world: World) {
        let nobody = world.nobody();
        let refused = nobody.query("{ viewer { id } }", json!({})).await;
        assert_eq!(refused.code(), "UNAUTHENTICATED");
        nobody.query("{ __schema { queryType { name } } }", json!({})).await.ok();
        // What is wrong with the input is nobody's to know.
        let input = json!({ "title": "", "customer": { "company": "" } });
        let refused = nobody.mutate("createLead", input, "lead { id }").await;
        assert_eq!(refused.code(), "UNAUTHENTICATED");
        for header in ["Basic YTpi", "Bearer", "Bearer ", "Token abc", "bearer\tabc"] {
            let request = nobody.request(reqwest::Method::POST, "/graphql").header("Authorization", header);
            let answer = Answer::of(request.json(&json!({ "query": "{ viewer { id } }" }))).await;
            assert_eq!(answer.code(), "UNAUTHENTICATED", "{header}");
        }
    }

    async fn a_token_by_a_public_key_has_to_be_of_that_key_and_its_algorithm(world: World) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let pairs = [(Key::rsa("a"), Key::rsa("b")), (Key::p256("a"), Key::p256("b")), (Key::ed25519("a"), Key::ed25519("b"))];
        for (key, stranger) in pairs {
            let file = folder.path().join("key.pem");
            std::fs::write(&file, &key.public_pem).expect("the folder can be written to");
            let file = file.to_str().expect("a path of ASCII");
            let server =
                world.another_server_with(&[("COSELL_JWT_SECRET", None), ("COSELL_JWT_PUBLIC_KEY", Some(file))]).await;
            refuses_what_is_wrong(&world, &server, |claims| key.token(claims)).await;
            refused(&server, &stranger.token(&good(&world)), "by another key").await;
            // The well-known forgery: the public key is no secret.
            refused(&server, &hs256(key.public_pem.as_bytes(), &good(&world)), "HS256 by the public key").await;
            refused(&server, &hs256(key.public_pem.trim().as_bytes(), &good(&world)), "HS256 by the trimmed key").await;
            refused(&server, &hs256(SECRET.as_bytes(), &good(&world)), "by a secret that is not configured").await;
            server.shutdown().await;
        }
    }

    async fn keys_come_from_an_issuer_and_are_rotated(world: World) {
        let (rsa, p256, ed) = (Key::rsa("r"), Key::p256("p"), Key::ed25519("e"));
        let issuer = Issuer::start(&[&rsa, &p256]).await;
        let url = issuer.url();
        let server = world.another_server_with(&[("COSELL_JWT_SECRET", None), ("COSELL_JWKS_URL", Some(&url))]).await;
        for key in [&rsa, &p256] {
            viewer(&server, &key.token(&good(&world))).await.ok();
        }
        refused(&server, &ed.token(&good(&world)), "by a key that is not published").await;
        refused(&server, &Key::rsa("r").token(&good(&world)), "by another key of the same name").await;
        refused(&server, &hs256(rsa.public_pem.as_bytes(), &good(&world)), "HS256 by a published key").await;
        refused(&server, &unsigned(&good(&world)), "unsigned").await;
        // A new key is found when it is first used; asking for it is not for everyone to repeat without end.
        world.clock.advance(TimeDelta::minutes(10));
        issuer.rotate(&[&p256, &ed]);
        let fresh = |key: &Key| key.token(&good(&world));
        viewer(&server, &fresh(&ed)).await.ok();
        refused(&server, &fresh(&rsa), "by a key that is no longer published").await;
        let asked = issuer.requests();
        for _ in 0..20 {
            refused(&server, &fresh(&rsa), "by a key that is no longer published").await;
        }
        assert!(issuer.requests() <= asked + 1, "unknown keys make the server ask and ask");
        // While the issuer is down the keys that were there are good.
        for down in [Issuer::fail, Issuer::talk_nonsense] {
            down(&issuer);
            world.clock.advance(TimeDelta::minutes(30));
            viewer(&server, &fresh(&p256)).await.ok();
        }
        issuer.recover();
        viewer(&server, &fresh(&p256)).await.ok();
        server.shutdown().await;
    }

    async fn an_issuer_that_was_never_there_makes_the_server_unavailable_and_not_wrong(world: World) {
        let key = Key::ed25519("e");
        let issuer = Issuer::start(&[&key]).await;
        issuer.fail();
        let url = issuer.url();
        let server = world.another_server_with(&[("COSELL_JWT_SECRET", None), ("COSELL_JWKS_URL", Some(&url))]).await;
        let answer = viewer(&server, &key.token(&good(&world))).await;
        assert_eq!(answer.code(), "UNAVAILABLE");
        let mut socket = Socket::open(server.addr).await;
        socket.init(Some(&key.token(&good(&world))));
        assert_eq!(socket.closed_within(PATIENCE).await.code, 1013);
        issuer.recover();
        world.clock.advance(TimeDelta::minutes(5));
        viewer(&server, &key.token(&good(&world))).await.ok();
        server.shutdown().await;
    }

    async fn an_rsa_key_takes_ps256_where_its_issuer_does_not_say_otherwise(world: World) {
        let (both, rs256, ps256) = (Key::rsa("both"), Key::rsa("rs256"), Key::rsa("ps256"));
        let mut published = [both, rs256, ps256];
        published[0].jwk.as_object_mut().expect("an object").remove("alg");
        published[2].jwk["alg"] = json!("PS256");
        let issuer = Issuer::start(&published.iter().collect::<Vec<_>>()).await;
        let url = issuer.url();
        let server = world.another_server_with(&[("COSELL_JWT_SECRET", None), ("COSELL_JWKS_URL", Some(&url))]).await;
        let by = |key: &Key, algorithm| {
            key.token_with(&Header { kid: Some(key.kid.clone()), ..Header::new(algorithm) }, &good(&world))
        };
        let [both, rs256, ps256] = &published;
        for token in
            [by(both, Algorithm::RS256), by(both, Algorithm::PS256), by(rs256, Algorithm::RS256), by(ps256, Algorithm::PS256)]
        {
            viewer(&server, &token).await.ok();
        }
        refused(&server, &by(rs256, Algorithm::PS256), "PS256 by a key that is for RS256").await;
        refused(&server, &by(ps256, Algorithm::RS256), "RS256 by a key that is for PS256").await;
        refused(&server, &by(both, Algorithm::PS384), "PS384").await;
        refused(&server, &hs256(both.public_pem.as_bytes(), &good(&world)), "HS256 by a published key").await;
        // Without an id, the only key that can be meant is taken.
        let nameless = Issuer::start(&[rs256, ps256]).await;
        let url = nameless.url();
        let other = world.another_server_with(&[("COSELL_JWT_SECRET", None), ("COSELL_JWKS_URL", Some(&url))]).await;
        let unnamed = |key: &Key, algorithm| key.token_with(&Header::new(algorithm), &good(&world));
        viewer(&other, &unnamed(ps256, Algorithm::PS256)).await.ok();
        refused(&other, &unnamed(ps256, Algorithm::RS256), "by the key of another algorithm").await;
        server.shutdown().await;
        other.shutdown().await;
    }

    async fn each_issuer_speaks_for_its_own_companies_with_its_own_keys(world: World) {
        let (acme, globex) = (Key::rsa("k"), Key::ed25519("k"));
        let (keys_of_acme, keys_of_globex) = (Issuer::start(&[&acme]).await, Issuer::start(&[&globex]).await);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("cosell.toml");
        let listed = format!(
            "[[jwt.issuers]]\nissuer = \"https://id.acme.example\"\naudience = \"leads\"\njwks_url = \"{}\"\n\
             companies = [\"acme\"]\n\
             [[jwt.issuers]]\nissuer = \"https://id.globex.example\"\naudience = \"cosell\"\njwks_url = \"{}\"\n\
             companies = [\"globex\", \"nowhere\"]\nclaims.roles = \"/groups\"\ndefault_roles = [\"VIEWER\"]\n",
            keys_of_acme.url(),
            keys_of_globex.url()
        );
        std::fs::write(&file, listed).expect("the folder can be written to");
        let file = file.to_str().expect("a path of ASCII");
        let others = [("COSELL_CONFIG", Some(file)), ("COSELL_JWT_COMPANIES", Some("initech,umbrella"))];
        let server = world.another_server_with(&others).await;
        let of = |issuer: &str, audience: &str, company: &str| {
            let claims = with(with(good(&world), "iss", json!(issuer)), "aud", json!(audience));
            with(claims, "company", json!(company))
        };
        let of_acme = |company: &str| of("https://id.acme.example", "leads", company);
        let of_globex = |company: &str| of("https://id.globex.example", "cosell", company);
        let of_us = |company: &str| with(good(&world), "company", json!(company));
        let sees = async |token: String, company: &str, roles: Value| {
            let seen = viewer(&server, &token).await.ok();
            assert_eq!((seen.text_at("/viewer/company/slug"), seen.at("/viewer/roles")), (company, &roles));
        };
        sees(acme.token(&of_acme("acme")), "acme", json!(["ADMIN"])).await;
        // Its roles stand elsewhere, and are not there.
        sees(globex.token(&of_globex("globex")), "globex", json!(["VIEWER"])).await;
        sees(globex.token(&with(of_globex("globex"), "groups", json!(["SALES"]))), "globex", json!(["SALES"])).await;
        sees(globex.token(&with(of_globex("globex"), "groups", json!([]))), "globex", json!([])).await;
        sees(hs256(SECRET.as_bytes(), &of_us("initech")), "initech", json!(["ADMIN"])).await;

        let rows = Rows::of(&world.database).await;
        let before = rows.now().await;
        for (why, token) in [
            ("acme's name by the key of globex", globex.token(&of_acme("acme"))),
            ("globex's name by the key of acme", acme.token(&of_globex("globex"))),
            ("acme's name by the secret", hs256(SECRET.as_bytes(), &of_acme("acme"))),
            ("our name by the key of acme", acme.token(&of_us("initech"))),
            ("acme's name by its public key as the secret", hs256(acme.public_pem.as_bytes(), &of_acme("acme"))),
            ("acme's name without a signature", unsigned(&of_acme("acme"))),
            ("nobody's name", acme.token(&of("https://evil.example", "leads", "acme"))),
            ("two names", acme.token(&with(of_acme("acme"), "iss", json!(["https://id.acme.example", "cosell"])))),
            ("the audience of the other", acme.token(&of("https://id.acme.example", "cosell", "acme"))),
            ("a role by the claim of the others", acme.token(&without(of_acme("acme"), "roles"))),
        ] {
            refused(&server, &token, why).await;
        }
        // Whose company it is not hears the same whether there is one.
        let message = "The bearer token's issuer may not speak for the company that it names.";
        for token in [
            acme.token(&of_acme("globex")),
            acme.token(&of_acme("Acme")),
            acme.token(&of_acme("acme2")),
            acme.token(&of_acme("never-heard-of")),
            globex.token(&of_globex("acme")),
            hs256(SECRET.as_bytes(), &of_us("acme")),
            hs256(SECRET.as_bytes(), &of_us("never-heard-of")),
        ] {
            refused(&server, &token, message).await;
            let answer = viewer(&server, &token).await;
            assert_eq!((answer.status.as_u16(), answer.errors[0]["message"].as_str()), (401, Some(message)));
        }
        let unregistered = viewer(&server, &globex.token(&of_globex("nowhere"))).await;
        assert_eq!(unregistered.code(), "UNAUTHENTICATED");
        rows.unchanged_since(&before, "a token of the wrong issuer").await;
        // One that is down does not take the others with it.
        keys_of_acme.fail();
        sees(globex.token(&of_globex("globex")), "globex", json!(["VIEWER"])).await;
        server.shutdown().await;
    }

    async fn a_subject_is_one_member_whichever_issuer_names_it_where_the_operator_says_so(world: World) {
        let key = Key::ed25519("k");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (pem, file) = (folder.path().join("key.pem"), folder.path().join("cosell.toml"));
        std::fs::write(&pem, &key.public_pem).expect("the folder can be written to");
        let listed = format!(
            "[[jwt.issuers]]\nissuer = \"https://new.example\"\naudience = \"cosell\"\npublic_key = {:?}\n\
             companies = [\"acme\"]\nshared_subjects = true\n",
            pem.display().to_string()
        );
        std::fs::write(&file, listed).expect("the folder can be written to");
        let server = world.another_server_with(&[("COSELL_CONFIG", file.to_str())]).await;
        let id = async |token: String| {
            Client::new(server.addr, Some(&token)).query("{ viewer { id } }", json!({})).await.ok().text_at("/viewer/id").to_owned()
        };
        let moved = with(good(&world), "iss", json!("https://new.example"));
        let before = id(hs256(SECRET.as_bytes(), &good(&world))).await;
        assert_eq!(id(key.token(&moved)).await, before);
        assert_ne!(id(key.token(&with(moved, "sub", json!("bob")))).await, before);
        server.shutdown().await;
    }

    async fn a_token_without_roles_has_those_that_are_configured(world: World) {
        let server = world.another_server_with(&[("COSELL_JWT_DEFAULT_ROLES", Some("VIEWER"))]).await;
        let sign = |claims: &Value| hs256(SECRET.as_bytes(), claims);
        for (claims, roles) in [
            (without(good(&world), "roles"), json!(["VIEWER"])),
            (with(good(&world), "roles", json!(null)), json!(["VIEWER"])),
            (with(good(&world), "roles", json!([])), json!([])),
            (good(&world), json!(["ADMIN"])),
        ] {
            let seen = viewer(&server, &sign(&claims)).await.ok();
            assert_eq!(seen.at("/viewer/roles"), &roles, "{claims}");
        }
        let mut socket = Socket::connect(server.addr, &sign(&without(good(&world), "roles"))).await;
        let mut feed = socket.subscribe("{ viewer { roles } }", json!({})).await;
        assert_eq!(feed.next_within(PATIENCE).await, json!({ "viewer": { "roles": ["VIEWER"] } }));
        refused(world.server(), &sign(&without(good(&world), "roles")), "without roles").await;
        refused(&server, &sign(&with(good(&world), "roles", json!([1]))), "with roles that are no names").await;
        server.shutdown().await;
    }

    async fn the_tokens_of_other_services_fit(world: World) {
        let key = Key::rsa("k");
        let issuer = Issuer::start(&[&key]).await;
        let url = issuer.url();
        let keys = [("COSELL_JWT_SECRET", None), ("COSELL_JWKS_URL", Some(url.as_str()))];
        let base = || without(without(good(&world), "roles"), "company");

        // As Keycloak writes them.
        let keycloak = [
            ("COSELL_JWT_CLAIM_ROLES", Some("/realm_access/roles")),
            ("COSELL_JWT_CLAIM_COMPANY", Some("/organization")),
            ("COSELL_JWT_CLAIM_NAME", Some("/preferred_username")),
        ];
        let server = world.another_server_with(&[keys.as_slice(), &keycloak].concat()).await;
        let mut token = with(base(), "realm_access", json!({ "roles": ["offline_access", "SALES", "uma_authorization"] }));
        token["organization"] = json!("acme");
        token["preferred_username"] = json!("ann.lee");
        token["aud"] = json!(["account", "cosell"]);
        let seen = viewer(&server, &key.token(&token)).await.ok();
        let expected =
            json!({ "name": "ann.lee", "email": "ann@acme.example", "roles": ["SALES"], "company": { "slug": "acme" } });
        assert_eq!(seen.at("/viewer"), &expected);
        refused(&server, &key.token(&good(&world)), "without the claims of Keycloak").await;
        server.shutdown().await;

        // As Auth0 writes them: a claim's name is an address, whose slashes a pointer escapes.
        let auth0 = [
            ("COSELL_JWT_CLAIM_ROLES", Some("/https:~1~1cosell.example~1roles")),
            ("COSELL_JWT_CLAIM_COMPANY", Some("/https:~1~1cosell.example~1company")),
        ];
        let server = world.another_server_with(&[keys.as_slice(), &auth0].concat()).await;
        let mut token = with(base(), "https://cosell.example/roles", json!(["admin"]));
        token["https://cosell.example/company"] = json!("acme");
        token["sub"] = json!("auth0|5f7c8ec7c33c6c004bbafe82");
        let seen = viewer(&server, &key.token(&token)).await.ok();
        assert_eq!(seen.at("/viewer/roles"), &json!(["ADMIN"]));
        server.shutdown().await;
    }

    async fn what_a_token_says_of_a_member_is_checked_as_what_people_type(world: World) {
        for (sub, email, kept) in [
            ("a", json!("<script>alert(1)</script>"), json!(null)),
            ("b", json!("nobody"), json!(null)),
            ("c", json!(""), json!(null)),
            ("d", json!("a@b.example, c@d.example"), json!(null)),
            ("e", json!("\u{202a}ann@acme.example\u{202c}"), json!("ann@acme.example")),
            ("f", json!("Ann@Acme.example"), json!("Ann@Acme.example")),
        ] {
            let token = with(with(with(good(&world), "sub", json!(sub)), "email", email.clone()), "name", json!("Ann\u{200b} Lee\u{2060}"));
            for _ in 0..2 {
                let seen = viewer(world.server(), &hs256(SECRET.as_bytes(), &token)).await.ok();
                assert_eq!(seen.at("/viewer/email"), &kept, "{email}");
                assert_eq!(seen.text_at("/viewer/name"), "Ann Lee");
            }
        }
        // A good one that becomes none is not kept either.
        let token = with(with(good(&world), "sub", json!("f")), "email", json!("nobody"));
        let seen = viewer(world.server(), &hs256(SECRET.as_bytes(), &token)).await.ok();
        assert_eq!(seen.at("/viewer/email"), &json!(null));
    }

    async fn a_member_is_recorded_once_and_as_its_token_last_said(world: World) {
        let first = world.person("acme", "ann", &["SALES"]).id().await;
        let again = with(good(&world), "name", json!("Ann Lee"));
        let again = with(again, "roles", json!(["VIEWER", "unknown"]));
        let seen = viewer(world.server(), &hs256(SECRET.as_bytes(), &again)).await.ok();
        assert_eq!((seen.text_at("/viewer/name"), seen.at("/viewer/roles")), ("Ann Lee", &json!(["VIEWER"])));
        let members = world.as_("acme", "ADMIN").query("{ members { edges { node { id name } } } }", json!({})).await.ok();
        let anns = members.list_at("/members/edges").iter().filter(|edge| edge["node"]["id"] == first.as_str());
        assert_eq!(anns.map(|edge| edge["node"]["name"].clone()).collect::<Vec<_>>(), [json!("Ann Lee")]);
        // The same person of another company is another member.
        assert_ne!(world.person("globex", "ann", &["SALES"]).id().await, first);
        // At once, by many: one row.
        let calls = (0..8).map(|_| async { world.person("acme", "bob", &["SALES"]).id().await });
        let ids: std::collections::BTreeSet<_> = futures_util::future::join_all(calls).await.into_iter().collect();
        assert_eq!(ids.len(), 1);
        // A role that is taken away is gone with the next token.
        let input = json!({ "title": "A", "customer": { "company": "B" } });
        let refused = world.person("acme", "ann", &["VIEWER"]).mutate("createLead", input, "lead { id }").await;
        assert_eq!(refused.code(), "FORBIDDEN");
    }
}
