/** What an open page is told; types only. */
import type { InstanceView } from '../api/types.ts';

/** A row as it is sent: the begin in place of a length that would change all the time. */
export type FeedRow = Omit<InstanceView, 'uptimeMs'> & { readonly key: string; readonly startedAt: number | null };

/** The whole, at first. */
export type FeedSnapshot = {
  readonly at: number;
  readonly version: string;
  readonly place: string;
  readonly startedAt: number;
  readonly canAct: boolean;
  readonly hasTimeline: boolean;
  readonly hasWhy: boolean;
  readonly status: string;
  readonly isStopping: boolean;
  readonly rows: readonly FeedRow[];
};

/** The fields of rows that differ, and where rows came or went the keys of all in order. */
export type FeedChange = {
  readonly rows?: readonly (Partial<FeedRow> & { readonly key: string })[];
  readonly order?: readonly string[];
};

export type FeedEvent = FeedChange & { readonly at: number; readonly status: string; readonly isStopping: boolean };
