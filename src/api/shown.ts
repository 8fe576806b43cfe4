/** Replies as they may go out: their texts without the values of secrets; pure. */
import { maskedCommand, maskedTexts } from '../core/secrets.ts';
import type { InstanceView, Outcome, WhyView } from './types.ts';

/** A row of `gsup ls`; `values`: secrets of its service. */
export function shownView(view: InstanceView, values: readonly string[]): InstanceView {
  const { reason, status } = view;
  if (reason === null && status === null) return view;
  const shown = (text: string | null) => text && maskedCommand(text, values);
  return { ...view, reason: shown(reason), status: shown(status) };
}

export function shownOutcome(outcome: Outcome, values: readonly string[]): Outcome {
  const { message, stderr } = outcome;
  const shown = (text: string) => maskedCommand(text, values);
  return { ...outcome, message: shown(message), stderr: stderr.map(shown) };
}

export function shownWhy(why: WhyView, values: readonly string[]): WhyView {
  const { command, cause, ends, pending, stderr } = why;
  return { ...why, ...maskedTexts({ command, cause, ends, pending, stderr }, values) };
}
