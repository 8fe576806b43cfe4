/** That the schemas of other systems, as the tests ask them, refuse what those systems refuse. */
import { expect, test } from 'vitest';
import { composeProblems, kubernetesProblems } from '../kit/platforms.ts';

const DEPLOYMENT = `apiVersion: apps/v1
kind: Deployment
metadata: { name: a, labels: { b: c } }
spec:
  selector: { matchLabels: { b: c } }
  template:
    metadata: { labels: { b: c } }
    spec:
      containers:
      - name: a
        image: b
        livenessProbe: { httpGet: { port: 1 }, periodSeconds: 5 }
`;

test('a right Deployment has no problem', () => {
  expect(kubernetesProblems(DEPLOYMENT)).toEqual([]);
});

test.each([
  [
    'periodSeconds',
    'periodSecond',
    'Deployment: unknown key .spec.template.spec.containers.0.livenessProbe.periodSecond',
  ],
  ['image', 'immage', 'Deployment: unknown key .spec.template.spec.containers.0.immage'],
  ['metadata: { name', 'meta: { name', 'Deployment: unknown key .meta'],
  ['matchLabels', 'labels', 'Deployment: unknown key .spec.selector.labels'],
  ['apps/v1', 'apps/v2', 'no schema for Deployment apps/v2'],
])('%s spelt %s is refused', (right, wrong, problem) => {
  expect(kubernetesProblems(DEPLOYMENT.replace(right, wrong))).toEqual([problem]);
});

test('a value of another type is refused', () => {
  expect(kubernetesProblems(DEPLOYMENT.replace('periodSeconds: 5', 'periodSeconds: "5"')).join()).toMatch(
    /periodSeconds must be integer/,
  );
});

test('compose refuses an unknown key and a wrong condition', () => {
  expect(composeProblems('services: { a: { image: b } }')).toEqual([]);
  expect(composeProblems('services: { a: { immage: b } }').join()).toContain('"additionalProperty":"immage"');
  expect(composeProblems('services: { a: { image: b, depends_on: { c: { condition: ready } } } }').join()).toContain(
    '/services/a/depends_on/c/condition must be equal to one of the allowed values',
  );
});
