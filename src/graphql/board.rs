//! The board.

use async_graphql::{Context, ID, Result, SimpleObject};

use super::{
    company::{Stage, Track},
    direct::Direct,
    error::Reply,
    lead::{Lead, LeadConnection, LeadEdge, LeadOrder, OrderDirection, put_at_hand},
    member,
    page::connect,
    parse_id, service,
    template::LeadTemplate,
};
use crate::{
    domain::{global_id::NodeType, page::Page},
    service::board::BoardRequest,
    store::lead::{LeadFilter, LeadSort},
};

/// A template's stages side by side, with the leads that stand at each.
#[derive(Clone, Debug, SimpleObject)]
#[graphql(serial)]
pub struct LeadBoard {
    /// The template whose board it is.
    pub template: LeadTemplate,
    /// The track whose stages are the columns.
    pub track: Track,
    /// A column for each stage of the track, in the order of the template's workflow. What another version of the
    /// workflow has besides stands after them, while there are leads.
    pub columns: Vec<Direct<LeadBoardColumn>>,
    /// How many leads there are in all columns.
    pub total: i32,
}

/// A stage, and the leads that stand at it.
#[derive(Clone, Debug, SimpleObject)]
#[graphql(serial)]
pub struct LeadBoardColumn {
    /// The stage.
    pub stage: Direct<Stage>,
    /// How many leads stand at it.
    pub count: i32,
    /// The first of them. Those that follow come from `leads`, with this page's `endCursor` as `after`, the board's order,
    /// and its filter together with `workflowOfTemplateId` and the stage's key as `stage`, or as `status` for that track.
    pub leads: LeadConnection,
}

/// A board counts as one of so many columns: how many there are is known only once it is read.
pub(super) const COLUMNS: usize = 10;

/// What is asked for, beside which leads.
pub(super) struct Asked {
    pub template_key: Option<String>,
    pub template_id: Option<ID>,
    pub track: Track,
    pub order_by: Option<LeadOrder>,
    pub first: Option<i32>,
}

/// The board, with what the query asks of its leads loaded for all of them at once.
pub(super) async fn board(ctx: &Context<'_>, asked: Asked, filter: LeadFilter) -> Result<LeadBoard> {
    let id = asked.template_id.map(|id| parse_id(ctx, &id, NodeType::LeadTemplate, "templateId")).transpose()?;
    let leads = ctx.look_ahead().field("columns").field("leads");
    let request = BoardRequest {
        template_key: asked.template_key,
        template: id.map(Into::into),
        track: asked.track.into(),
        filter,
        sort: asked.order_by.map_or(LeadSort::Created, |order| order.field.into()),
        descending: asked.order_by.is_none_or(|order| order.direction == OrderDirection::Desc),
        first: asked.first.map(Into::into),
        leads: leads.exists(),
    };
    let board = service(ctx).lead_board(member(ctx)?, request).await.reply(ctx)?;
    let mut total = 0;
    let (mut heads, mut pages) = (Vec::new(), Vec::new());
    for column in board.columns {
        total += column.count;
        heads.push((column.stage, column.count));
        pages.push(column.leads.map(Lead::new));
    }
    let each = pages.iter_mut().flat_map(|page: &mut Page<Lead>| page.edges.iter_mut().map(|(_, lead)| lead));
    put_at_hand(ctx, &mut each.collect::<Vec<_>>(), &leads.field("edges").field("node")).await?;
    let column = |((stage, count), page): ((_, _), _)| {
        let leads = connect!(page, LeadConnection, LeadEdge, std::convert::identity);
        Direct(LeadBoardColumn { stage: Direct(Stage::from(&stage)), count: number(count), leads })
    };
    Ok(LeadBoard {
        template: LeadTemplate(board.template),
        track: asked.track,
        columns: heads.into_iter().zip(pages).map(column).collect(),
        total: number(total),
    })
}

fn number(count: i64) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
