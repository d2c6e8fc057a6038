//! The board: a template's stages side by side, with the leads that stand at each.

use super::{Service, cursor};
use crate::{
    domain::{
        actor::Member,
        id::TemplateId,
        lead::{Lead, WorkflowRef},
        page::{Page, PageRequest},
        template::Template,
        workflow::definition::{Definition, Stage, Subject, TrackKey},
    },
    error::{Error, ErrorCode, Fault, Result},
    store::{
        self,
        board::Standing,
        lead::{LeadFilter, LeadSort, WorkflowKey},
        page::{Slice, Window},
        scope::Scope,
    },
};

/// Which board is asked for. Field names in faults are those of `leadBoard`.
#[derive(Clone, Debug)]
pub struct BoardRequest {
    /// The key of a template of the caller's company.
    pub template_key: Option<String>,
    /// A template in the caller's sight; the company's default where neither is given.
    pub template: Option<TemplateId>,
    /// The track whose stages are the columns.
    pub track: TrackKey,
    /// Which leads.
    pub filter: LeadFilter,
    /// In which order, within a column.
    pub sort: LeadSort,
    /// From the greatest key down.
    pub descending: bool,
    /// How many leads of each column.
    pub first: Option<i64>,
    /// Whether leads are asked for, or the counts alone.
    pub leads: bool,
}

/// A template's stages side by side.
#[derive(Clone, Debug)]
pub struct Board {
    /// The template.
    pub template: Template,
    /// The columns, in the order of the workflow.
    pub columns: Vec<Column>,
}

/// A stage and the leads that stand at it.
#[derive(Clone, Debug)]
pub struct Column {
    /// The stage.
    pub stage: Stage,
    /// How many leads there are.
    pub count: i64,
    /// The first of them.
    pub leads: Page<Lead>,
}

impl Service {
    /// The board of a template: where the leads of the caller's company stand now that are on its workflow, whatever
    /// the version and whichever template of which company they started from. What an older or newer version alone has
    /// gets a column at the end while leads stand there.
    ///
    /// # Errors
    /// `INVALID_INPUT` for a number of leads that is none, for a track that the workflow does not have, and for two
    /// templates; `NOT_FOUND` for one that the caller may not know of; `REQUIRED` where the company has no default.
    pub async fn lead_board(&self, member: &Member, request: BoardRequest) -> Result<Board> {
        let BoardRequest { track, mut filter, sort, descending, .. } = request;
        let limit = PageRequest { first: request.first, ..PageRequest::default() }.bounds()?.limit;
        let template = self.board_template(member, request.template_key.as_deref(), request.template).await?;
        let definition = self.definition(&template.workflow).await?;
        if definition.track(track).is_none() {
            let message = format!("The workflow of {} has no track {}.", template.key, track.as_str());
            return Err(Fault::invalid("track", message).into());
        }
        let workflow = WorkflowKey::from(&template.workflow);
        match &mut filter.workflows {
            Some(workflows) => workflows.retain(|other| *other == workflow),
            none => *none = Some(vec![workflow]),
        }
        let (db, scope, now) = (self.db().read(), Scope::of(member), self.now());
        let standings = store::board::standings(db, scope, &filter, track, now).await?;
        let window = Window { limit, after: None, before: None, last: false, descending };
        let mut first = if request.leads {
            store::board::first_of_each(db, scope, &filter, track, &standings, sort, &window, now).await?
        } else {
            std::collections::HashMap::new()
        };
        let mut columns = Vec::new();
        for stage in self.stages_of(&definition, &template.workflow, track, &standings).await? {
            let count = standings.iter().filter(|standing| standing.stage == stage.key).map(|standing| standing.count);
            let slice = first.remove(&stage.key).unwrap_or_else(|| Slice { items: Vec::new(), more: false });
            let mut edges = Vec::with_capacity(slice.items.len());
            for lead in slice.items {
                let cursor = cursor::lead(member.company, sort, sort.key(&lead), lead.id.0);
                edges.push((cursor, self.as_of(lead, now).await?));
            }
            let leads = Page::new(edges, slice.more, false, false, false);
            columns.push(Column { count: count.sum(), stage, leads });
        }
        Ok(Board { template, columns })
    }

    /// The workflow of a template in the caller's sight.
    pub async fn workflow_of_template(&self, member: &Member, id: TemplateId) -> Result<Option<WorkflowKey>> {
        let found = store::company::visible_template(self.db().read(), Scope::of(member), id).await?;
        Ok(found.map(|template| WorkflowKey::from(&template.workflow)))
    }

    async fn board_template(&self, member: &Member, key: Option<&str>, id: Option<TemplateId>) -> Result<Template> {
        let missing =
            |field: &str| Error::from(Fault::new(ErrorCode::NotFound, "There is no such template.").at(field));
        let (db, scope) = (self.db().read(), Scope::of(member));
        if let Some(id) = id {
            if key.is_some() {
                return Err(Fault::invalid("templateId", "Give templateKey or templateId, not both.").into());
            }
            let found = store::company::visible_template(db, scope, id).await?;
            return found.filter(|found| found.subject == Subject::Lead).ok_or_else(|| missing("templateId"));
        }
        let own = store::company::templates(db, scope).await?;
        let mut own = own.into_iter().filter(|template| template.subject == Subject::Lead);
        match key {
            Some(key) => own.find(|template| template.key == key).ok_or_else(|| missing("templateKey")),
            None => own.find(|template| template.is_default).ok_or_else(|| {
                Fault::required("templateKey", "Your company has no default template; name one.").into()
            }),
        }
    }

    /// The stages of that track, and after them those that the template's version of the workflow does not have but
    /// where leads of other versions stand: the latest version's first, in its order.
    async fn stages_of(
        &self,
        definition: &Definition,
        workflow: &WorkflowRef,
        track: TrackKey,
        standings: &[Standing],
    ) -> Result<Vec<Stage>> {
        let on_track = |stage: &&Stage| stage.track == track;
        let mut stages: Vec<_> = definition.stages.iter().filter(on_track).cloned().collect();
        let mut others: Vec<_> = standings.iter().map(|standing| standing.version).collect();
        others.sort_unstable_by(|a, b| b.cmp(a));
        others.dedup();
        for version in others {
            let is_extra = |standing: &&Standing| {
                standing.version == version && stages.iter().all(|stage| stage.key != standing.stage)
            };
            let extra: Vec<_> = standings.iter().filter(is_extra).map(|standing| &standing.stage).collect();
            if extra.is_empty() {
                continue;
            }
            let definition = self.definition(&WorkflowRef { version, ..workflow.clone() }).await?;
            let stood = definition.stages.iter().filter(on_track).filter(|stage| extra.contains(&&stage.key));
            stages.extend(stood.cloned());
        }
        Ok(stages)
    }
}
