// Every method of react-admin's and refine's simple-rest providers, as they are published.
// Arguments: the API's address and an access token.

import assert from 'node:assert/strict';
import { fetchUtils } from 'ra-core';
import reactAdmin from 'ra-data-simple-rest';
import refine, { axiosInstance } from '@refinedev/simple-rest';

const [api, token] = process.argv.slice(2);
const authorization = `Bearer ${token}`;

const byId = (a, b) => (a.id < b.id ? -1 : 1);
const names = (records) => records.map((record) => record.name);

async function throughReactAdmin() {
  const withToken = (url, options = {}) => {
    const headers = new Headers(options.headers ?? { Accept: 'application/json' });
    headers.set('Authorization', authorization);
    return fetchUtils.fetchJson(url, { ...options, headers });
  };
  const provider = reactAdmin(api, withToken);
  const made = [];
  for (const name of ['Ash', 'Birch', 'Cedar', 'Elm']) {
    const { data } = await provider.create('categories', { data: { name, rank: made.length } });
    assert.equal(data.name, name);
    made.push(data);
  }

  const list = await provider.getList('categories', {
    pagination: { page: 1, perPage: 2 },
    sort: { field: 'name', order: 'DESC' },
    filter: {},
  });
  assert.deepEqual(names(list.data), ['Elm', 'Cedar']);
  assert.equal(list.total, 4);
  const second = await provider.getList('categories', {
    pagination: { page: 2, perPage: 2 },
    sort: { field: 'name', order: 'DESC' },
    filter: {},
  });
  assert.deepEqual(names(second.data), ['Birch', 'Ash']);
  const searched = await provider.getList('categories', {
    pagination: { page: 1, perPage: 1000 },
    sort: { field: 'id', order: 'ASC' },
    filter: { q: 'ced' },
  });
  assert.deepEqual(names(searched.data), ['Cedar']);

  const one = await provider.getOne('categories', { id: made[0].id });
  assert.equal(one.data.name, 'Ash');
  const many = await provider.getMany('categories', { ids: [made[1].id, made[3].id] });
  assert.deepEqual(names(many.data.sort(byId)), ['Birch', 'Elm']);

  // What was read is sent back whole.
  const updated = await provider.update('categories', {
    id: made[0].id,
    data: { ...one.data, description: 'A tree.' },
    previousData: one.data,
  });
  assert.equal(updated.data.description, 'A tree.');
  assert.equal(updated.data.version, one.data.version + 1);
  const changed = await provider.updateMany('categories', {
    ids: [made[1].id, made[2].id],
    data: { name: 'Tree', active: false },
  });
  assert.deepEqual(changed.data, [made[1].id, made[2].id]);

  const child = await provider.create('categories', { data: { name: 'Twig', parentId: made[0].id } });
  const children = await provider.getManyReference('categories', {
    target: 'parentId',
    id: made[0].id,
    pagination: { page: 1, perPage: 10 },
    sort: { field: 'name', order: 'ASC' },
    filter: {},
  });
  assert.deepEqual([names(children.data), children.total], [['Twig'], 1]);

  const gone = await provider.delete('categories', { id: child.data.id, previousData: child.data });
  assert.ok(Object.hasOwn(gone, 'data'));
  const cleared = await provider.deleteMany('categories', { ids: made.map((it) => it.id) });
  assert.equal(cleared.data.length, 4);
  await assert.rejects(provider.getOne('categories', { id: made[0].id }), (error) => error.status === 404);
  await assert.rejects(
    provider.create('categories', { data: { nam: 'x' } }),
    (error) => error.status === 422 && error.body.code === 'unknown_field',
  );
}

async function throughRefine() {
  axiosInstance.defaults.headers.common.Authorization = authorization;
  const provider = refine(api, axiosInstance);
  assert.equal(provider.getApiUrl(), api);
  const made = [];
  for (const name of ['Anvil', 'Bellows', 'Chisel']) {
    const variables = { name, status: 'active', variants: [{ sku: `T-${name}` }] };
    const { data } = await provider.create({ resource: 'products', variables });
    assert.equal(data.name, name);
    made.push(data);
  }

  const list = await provider.getList({
    resource: 'products',
    pagination: { currentPage: 1, pageSize: 2, mode: 'server' },
    sorters: [{ field: 'name', order: 'desc' }],
    filters: [{ field: 'status', operator: 'eq', value: 'active' }],
  });
  assert.deepEqual(names(list.data), ['Chisel', 'Bellows']);
  assert.equal(Number(list.total), 3);
  for (const [filter, found] of [
    [{ field: 'name', operator: 'contains', value: 'nvi' }, ['Anvil']],
    [{ field: 'name', operator: 'ne', value: 'Anvil' }, ['Bellows', 'Chisel']],
    [{ field: 'q', operator: 'eq', value: 'chis' }, ['Chisel']],
    [{ field: 'createdAt', operator: 'gte', value: '2001-01-01T00:00:00Z' }, ['Anvil', 'Bellows', 'Chisel']],
    [{ field: 'createdAt', operator: 'lte', value: '2001-01-01T00:00:00Z' }, []],
  ]) {
    const filtered = await provider.getList({
      resource: 'products',
      pagination: { currentPage: 1, pageSize: 10, mode: 'server' },
      sorters: [{ field: 'name', order: 'asc' }],
      filters: [filter],
    });
    assert.deepEqual(names(filtered.data), found, JSON.stringify(filter));
  }
  const all = await provider.getList({ resource: 'products', pagination: { mode: 'off' } });
  assert.equal(all.data.length, 3);

  const many = await provider.getMany({ resource: 'products', ids: [made[0].id, made[2].id] });
  assert.deepEqual(names(many.data.sort(byId)), ['Anvil', 'Chisel']);
  const one = await provider.getOne({ resource: 'products', id: made[1].id });
  assert.equal(one.data.name, 'Bellows');
  const updated = await provider.update({ resource: 'products', id: made[1].id, variables: { tags: ['forge'] } });
  assert.deepEqual(updated.data.tags, ['forge']);
  const custom = await provider.custom({
    url: `${api}/products`,
    method: 'get',
    query: { 'filter[tags]': 'forge' },
    headers: {},
  });
  assert.deepEqual(names(custom.data), ['Bellows']);
  for (const { id } of made) {
    await provider.deleteOne({ resource: 'products', id });
  }
  await assert.rejects(provider.getOne({ resource: 'products', id: made[0].id }), (error) => error.statusCode === 404);
}

await throughReactAdmin();
await throughRefine();
console.log('react-admin and refine are content');
