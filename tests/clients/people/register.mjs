// Registers the people of a file (an array of records, or {"users": [...]}, as dummyjson.com has them), logs each in, and
// checks that each sees itself and nobody else.
//
//   node register.mjs FILE API        such as: node register.mjs users.json http://127.0.0.1:8080/api/v1

import { readFile } from "node:fs/promises";
import assert from "node:assert/strict";

const [file, api] = process.argv.slice(2);
const parsed = JSON.parse(await readFile(file, "utf8"));
const people = parsed.users ?? parsed;

async function call(method, path, { token, body } = {}) {
  const headers = { "content-type": "application/json" };
  if (token) headers.authorization = `Bearer ${token}`;
  const response = await fetch(api + path, { method, headers, body: body && JSON.stringify(body) });
  const text = await response.text();
  return { status: response.status, body: text ? JSON.parse(text) : null };
}

function registration(person) {
  return {
    email: person.email,
    // Some of the file's are shorter than a password may be.
    password: `${person.password} of ${person.username}`,
    name: `${person.firstName} ${person.lastName}`,
    phone: person.phone,
    metadata: { username: person.username, birthDate: person.birthDate },
  };
}

const registered = [];
for (const person of people) {
  const wanted = registration(person);
  const made = await call("POST", "/users", { body: wanted });
  assert.equal(made.status, 201, `${person.email}: ${JSON.stringify(made.body)}`);
  assert.equal(made.body.email, wanted.email.toLowerCase());
  assert.equal(made.body.kind, "customer");
  const again = await call("POST", "/users", { body: wanted });
  assert.equal(again.status, 409, `${person.email} twice`);
  registered.push({ ...wanted, id: made.body.id });
}

for (const [index, person] of registered.entries()) {
  const { email, password, id } = person;
  const login = await call("POST", "/auth/customer/login", { body: { email, password } });
  assert.equal(login.status, 200, `${email}: ${JSON.stringify(login.body)}`);
  const token = login.body.accessToken;
  const own = await call("GET", "/users/me", { token });
  assert.deepEqual([own.status, own.body.id, own.body.name], [200, id, person.name]);
  assert.deepEqual(own.body.metadata, person.metadata);
  const another = registered[(index + 1) % registered.length].id;
  assert.equal((await call("GET", `/users/${another}`, { token })).status, 404, `${email} sees ${another}`);
  const changed = await call("PATCH", `/users/${another}`, { token, body: { name: "x" } });
  assert.equal(changed.status, 404, `${email} changes ${another}`);
  assert.equal((await call("GET", "/users", { token })).status, 403, `${email} lists users`);
  if (index < 3) {
    // Not for all of them: failures slow down everybody behind one address.
    const staff = await call("POST", "/auth/admin/login", { body: { email, password } });
    assert.equal(staff.status, 401, `${email} is no staff`);
  }
}
console.log(`${registered.length} people registered, logged in, and saw only themselves`);
