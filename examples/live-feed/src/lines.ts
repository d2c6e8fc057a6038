// An event as a line to read.
import type { EventFragment } from './generated/graphql.js';

type Kind = EventFragment['__typename'];
type Of<K extends Kind> = Extract<EventFragment, { __typename: K }>;

/**
 * What others wrote, for a terminal: in one line, without what would steer the terminal or turn the text around.
 */
export function plain(text: string, most = 120): string {
  const line = text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').trim();
  const characters = [...line];
  return characters.length > most ? `${characters.slice(0, most - 1).join('')}…` : line;
}

const quoted = (text: string | undefined): string => (text === undefined ? '(gone since)' : `“${plain(text)}”`);
const because = (reason: string | null | undefined): string => (reason ? `, because ${quoted(reason)}` : '');
const inWords = (kind: string): string => kind.replace(/([a-z])([A-Z])/g, '$1 $2').toLowerCase();

function what(event: EventFragment): string {
  switch (event.__typename) {
    case 'LeadShared': {
      const other = plain(event.partnership?.counterpart.name ?? 'another company');
      const title = quoted(event.lead?.title);
      return event.lead?.side === 'RECEIVER' ? `received from ${other}: ${title}` : `shared with ${other}: ${title}`;
    }
    case 'LeadCreated':
      return `created: ${quoted(event.lead?.title)}`;
    case 'LeadStageChanged':
      return moved('stage', event);
    case 'LeadStatusChanged':
      return moved('status', event);
    case 'LeadExpiring':
      return `will be ${plain(event.to.name)} at ${event.expiresAt}`;
    case 'LeadUpdated':
      return `changed: ${plain(event.changes.map(({ field }) => field).join(', '))}`;
    case 'LeadOwnerChanged':
      return event.toOwner ? `is now worked by ${plain(event.toOwner.name)}` : 'is worked by nobody now';
    case 'LeadNotice':
      return plain(event.message);
    case 'CommentAdded':
      return `comment${note(event)}: ${quoted(event.comment?.body)}`;
    case 'CommentEdited':
      return `comment changed${note(event)}: ${quoted(event.comment?.body)}`;
    case 'CommentRemoved':
      return 'comment removed';
    case 'TaskChanged': {
      const { task, change } = event;
      const whose = task ? ` (for ${plain(task.assignee?.name ?? task.assignedCompany.name)})` : '';
      return `task ${change.toLowerCase()}: ${quoted(task?.title)}${whose}`;
    }
    case 'OpportunityStageChanged':
      return moved('opportunity', event);
    case 'PartnershipChanged': {
      const other = plain(event.partnership?.counterpart.name ?? 'another company');
      return `partnership with ${other} is ${(event.stateSince ?? 'changed').toLowerCase()}`;
    }
    default:
      // A kind that is newer than this program is printed too.
      return inWords(event.__typename);
  }
}

function moved(track: string, event: Of<'LeadStageChanged' | 'LeadStatusChanged' | 'OpportunityStageChanged'>): string {
  const from = event.from ? `${plain(event.from.name)} → ` : '';
  return `${track}: ${from}${plain(event.to.name)}${because('reason' in event ? event.reason : null)}`;
}

function note(event: Of<'CommentAdded' | 'CommentEdited'>): string {
  return event.comment?.visibility === 'INTERNAL' ? ' (internal)' : '';
}

/** Such as `2026-11-21T22:10:00.000Z  L-1010   stage: Pending → Accepted  (Clara)`. */
export function line(event: EventFragment, withId: boolean): string {
  const id = withId ? `${event.id}  ` : '';
  return `${id}${event.at}  ${(event.lead?.number ?? '-').padEnd(7)}  ${what(event)}  (${plain(event.actor.name)})`;
}
