//! The page to try queries on.

use async_graphql::http::GraphiQLSource;
use axum::response::Html;

/// `GraphiQL`, which the browser loads from its public home.
pub(super) async fn page() -> Html<String> {
    Html(GraphiQLSource::build().endpoint("/graphql").subscription_endpoint("/graphql/ws").title("cosell").finish())
}
