//! Lists: paging, sorting, filtering, searching.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use hyper::Method;
use platform_tests::{
    client::{Answer, Client},
    host::TestHost,
    shop::{category, id, product, with, writes_nothing},
};
use serde_json::{Value, json};

async fn fill(admin: &Client, range: std::ops::Range<u32>) {
    let make = range.map(|number| async move {
        let body = with(
            product(&format!("Item {number:03}"), &format!("S{number:03}")),
            "taxClass",
            format!("t{}", number % 3),
        );
        admin.post("/products", &body).await.expect(201)
    });
    join_all(make).await;
}

/// What JSON has and an address may not.
fn quoted(query: &str) -> String {
    query.replace(' ', "%20").replace('"', "%22").replace('{', "%7B").replace('}', "%7D")
}

fn names(items: &Value) -> Vec<String> {
    items.as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect()
}

/// The target of `rel="next"`, below the API base.
fn next(answer: &Answer) -> Option<String> {
    let link = answer.header("link")?;
    let path = link.strip_prefix("<").unwrap().strip_suffix(">; rel=\"next\"").unwrap();
    Some(path.strip_prefix("/api/v1").unwrap().to_owned())
}

on_each_backend!(
    TestHost::shop(), TestHost::shop_on_mongodb();
    following_the_links_gives_every_item_once,
    offsets_and_totals_are_told,
    paging_by_cursor_is_stable_while_items_come_and_go,
    every_filter_finds_what_it_says,
    what_a_list_does_not_know_is_refused,
    other_tools_queries_are_understood,
    sparse_fields_leave_the_rest_out,
    a_cursor_belongs_to_its_query,
);

async fn following_the_links_gives_every_item_once(mut host: TestHost) {
    let (admin, public) = (host.admin().await, host.anonymous());
    fill(&admin, 0..57).await;
    for (query, pages) in [
        ("", 3),
        ("?limit=10&sort=name", 6),
        ("?limit=10&sort=-taxClass,name&offset=0", 0),
        ("?limit=1&filter[name][prefix]=Item%2000", 10),
        ("?sort=-createdAt&limit=100", 1),
        ("?limit=19&count=none", 3),
        ("?limit=7&q=item&sort=status,-name", 9),
    ] {
        let mut path = Some(format!("/products{query}"));
        if pages == 0 {
            public.get(&path.unwrap()).await.expect_problem(400, "unknown_sort");
            continue;
        }
        let (mut seen, mut count) = (Vec::new(), 0);
        while let Some(at) = path {
            let answer = public.get(&at).await;
            count += 1;
            path = next(&answer);
            let cursor = answer.header("x-next-cursor").map(str::to_owned);
            assert_eq!(path.is_some(), cursor.is_some());
            if let (Some(path), Some(cursor)) = (&path, cursor) {
                assert!(path.ends_with(&format!("cursor={cursor}")), "{path}");
            }
            let total = answer.header("x-total-count").map(str::to_owned);
            let range = answer.header("content-range").map(str::to_owned);
            let items = answer.expect(200);
            let expected = if query.contains("prefix") { 10 } else { 57 };
            assert_eq!(total, (!query.contains("count=none")).then(|| expected.to_string()), "{at}");
            let of = total.unwrap_or_else(|| "*".to_owned());
            let first =
                (count == 1).then(|| format!("products 0-{}/{of}", items.as_array().unwrap().len() - 1));
            assert_eq!(range, first, "{at}");
            seen.extend(names(&items));
        }
        assert_eq!(count, pages, "{query}");
        let unique: BTreeSet<&String> = seen.iter().collect();
        assert_eq!(unique.len(), seen.len(), "{query}: {seen:?}");
        assert_eq!(seen.len(), if query.contains("prefix") { 10 } else { 57 }, "{query}");
        if query.contains("sort=name") {
            assert!(seen.is_sorted(), "{seen:?}");
        }
        if query.contains("-name") {
            assert!(seen.is_sorted_by(|a, b| a >= b), "{seen:?}");
        }
    }
}

async fn offsets_and_totals_are_told(mut host: TestHost) {
    let (admin, public) = (host.admin().await, host.anonymous());
    let empty = public.get("/products").await;
    assert_eq!(
        (empty.header("x-total-count"), empty.header("content-range")),
        (Some("0"), Some("products */0"))
    );
    assert_eq!((empty.header("link"), empty.header("x-next-cursor")), (None, None));
    assert_eq!(empty.expect(200), json!([]));
    fill(&admin, 0..25).await;
    let page = public.get("/products?sort=name&offset=20&limit=10").await;
    assert_eq!(page.header("content-range"), Some("products 20-24/25"));
    assert_eq!(names(&page.expect(200)), ["Item 020", "Item 021", "Item 022", "Item 023", "Item 024"]);
    let page = public.get("/products?sort=name&offset=3&limit=2&count=none").await;
    assert_eq!((page.header("content-range"), page.header("x-total-count")), (Some("products 3-4/*"), None));
    // The cursor goes on where the offset ended.
    let follow = public.get(&next(&page).unwrap()).await.expect(200);
    assert_eq!(names(&follow), ["Item 005", "Item 006"]);
    let beyond = public.get("/products?offset=10000").await;
    assert_eq!((beyond.header("content-range"), beyond.header("link")), (Some("products */25"), None));
    assert_eq!(beyond.expect(200), json!([]));
    let categories = public.get("/categories?count=exact").await;
    assert_eq!(categories.header("content-range"), Some("categories */0"));
}

async fn paging_by_cursor_is_stable_while_items_come_and_go(mut host: TestHost) {
    let (admin, public) = (host.admin().await, host.anonymous());
    fill(&admin, 0..60).await;
    for sort in ["name", "-name", "-createdAt,name"] {
        let mut path = Some(format!("/products?limit=7&sort={sort}&filter[name][prefix]=Item"));
        let mut seen = Vec::new();
        let mut round = 0;
        while let Some(at) = path {
            let answer = public.get(&at).await;
            path = next(&answer);
            let items = answer.expect(200);
            seen.extend(items.as_array().unwrap().iter().map(|it| (id(it).to_owned(), it["name"].clone())));
            // Before and behind the position, something comes and something goes.
            for name in ["Item 000a", "Item 059a"] {
                let body = product(&format!("{name}{round}"), &format!("{sort}{name}{round}"));
                let made = admin.post("/products", &body).await.expect(201);
                if round % 2 == 0 {
                    admin.delete(&format!("/products/{}", id(&made))).await.expect(204);
                }
            }
            round += 1;
            assert!(round < 60, "paging ends");
        }
        let stayed: Vec<String> = (0..60).map(|number| format!("Item {number:03}")).collect();
        for name in &stayed {
            let times = seen.iter().filter(|(_, seen)| *seen == name.as_str()).count();
            assert_eq!(times, 1, "{name} with sort={sort}: {seen:?}");
        }
        let unique: BTreeSet<&String> = seen.iter().map(|(id, _)| id).collect();
        assert_eq!(unique.len(), seen.len(), "{seen:?}");
    }
}

async fn every_filter_finds_what_it_says(mut host: TestHost) {
    let (admin, public) = (host.admin().await, host.anonymous());
    let shelf = admin.post("/categories", &json!({"name": "Shelf"})).await.expect(201);
    let lower = admin
        .post("/categories", &json!({"name": "Lower", "parentId": id(&shelf), "rank": 5}))
        .await
        .expect(201);
    let ant = with(
        with(product("Ant", "A-1"), "tags", json!(["red", "small"])),
        "categoryIds",
        json!([id(&shelf)]),
    );
    let ant = admin.post("/products", &ant).await.expect(201);
    host.clock.advance(std::time::Duration::from_secs(60));
    let bee = json!({"name": "Bee, wild", "status": "active", "taxClass": "reduced", "categoryIds": [id(&lower)],
        "description": "Crème brûlée for 100% of ÅNGSTRÖM's bees", "tags": ["red"],
        "variants": [{"sku": "B-1", "barcode": "4006381333931"}]});
    admin.post("/products", &bee).await.expect(201);
    host.clock.advance(std::time::Duration::from_secs(60));
    admin.post("/products", &product("Cat_100%", "C-1")).await.expect(201);
    let cases = [
        ("filter[name]=Ant".to_owned(), "Ant"),
        ("filter[name][eq]=ant".to_owned(), ""),
        ("filter[name][ne]=Ant".to_owned(), "Bee, wild|Cat_100%"),
        ("filter[name][in]=Ant,Cat_100%25".to_owned(), "Ant|Cat_100%"),
        ("filter[name][nin]=Ant".to_owned(), "Bee, wild|Cat_100%"),
        ("filter[name][gt]=Ant".to_owned(), "Bee, wild|Cat_100%"),
        ("filter[name][lte]=Bee,%20wild".to_owned(), "Ant|Bee, wild"),
        ("filter[name][gte]=B&filter[name][lt]=C".to_owned(), "Bee, wild"),
        ("filter[name][prefix]=Cat_".to_owned(), "Cat_100%"),
        ("filter[name][prefix]=Cat%25".to_owned(), ""),
        ("filter[name][contains]=%25".to_owned(), "Cat_100%"),
        ("filter[name][contains]=e".to_owned(), "Bee, wild"),
        ("filter[tags]=red".to_owned(), "Ant|Bee, wild"),
        ("filter[tags][in]=small,large".to_owned(), "Ant"),
        ("filter[tags][exists]=false".to_owned(), "Cat_100%"),
        ("filter[taxClass][exists]=true".to_owned(), "Bee, wild"),
        ("filter[variants.sku]=C-1".to_owned(), "Cat_100%"),
        ("filter[variants.sku][prefix]=B".to_owned(), "Bee, wild"),
        ("filter[variants.barcode]=4006381333931".to_owned(), "Bee, wild"),
        (format!("filter[variants.id]={}", id(&ant["variants"][0])), "Ant"),
        (format!("filter[id]={}", id(&ant)), "Ant"),
        (format!("filter[categoryIds]={}", id(&shelf)), "Ant"),
        ("filter[version]=1".to_owned(), "Ant|Bee, wild|Cat_100%"),
        ("filter[version][gt]=1".to_owned(), ""),
        ("filter[createdAt][gt]=2026-01-01T01:00:30%2B01:00".to_owned(), "Bee, wild|Cat_100%"),
        ("filter[createdAt][lte]=2026-01-01T00:01:00Z".to_owned(), "Ant|Bee, wild"),
        ("filter[publishedAt][exists]=false".to_owned(), ""),
        (
            "filter[or][0][name]=Ant&filter[or][1][taxClass]=reduced&filter[or][1][tags]=red".to_owned(),
            "Ant|Bee, wild",
        ),
        ("filter[or][0][name]=Ant&filter[or][1][name]=Cat_100%25&filter[tags]=red".to_owned(), "Ant"),
        ("filter%5Bname%5D%5Beq%5D=Ant".to_owned(), "Ant"),
        ("category=shelf".to_owned(), "Ant|Bee, wild"),
        (format!("category={}", id(&lower)), "Bee, wild"),
        ("category=nowhere".to_owned(), ""),
        ("q=creme%20brul".to_owned(), "Bee, wild"),
        ("q=CR%C3%88ME".to_owned(), "Bee, wild"),
        ("q=cre%CC%80me".to_owned(), "Bee, wild"),
        ("q=angstrom".to_owned(), "Bee, wild"),
        ("q=bee+wild".to_owned(), "Bee, wild"),
        ("q=bee+tame".to_owned(), ""),
        ("q=b-1".to_owned(), "Bee, wild"),
        ("q=red&filter[name]=Ant".to_owned(), "Ant"),
        ("q=".to_owned(), "Ant|Bee, wild|Cat_100%"),
        ("q=%22%27*%28OR%29".to_owned(), ""),
        ("".to_owned(), "Ant|Bee, wild|Cat_100%"),
    ];
    for (query, expected) in cases {
        let answer = public.get(&format!("/products?sort=name&{query}")).await;
        let total = answer.header("x-total-count").map(str::to_owned);
        assert_eq!(answer.status, 200, "{query}: {}", answer.text());
        let found = names(&answer.json());
        assert_eq!(found.join("|"), expected, "{query}");
        assert_eq!(total, Some(found.len().to_string()), "{query}");
    }
    for (query, expected) in [
        ("filter[parentId][exists]=false", "Shelf"),
        ("filter[rank][gte]=5", "Lower"),
        ("filter[active]=true&sort=-name", "Shelf|Lower"),
        ("filter[active]=false", ""),
        ("sort=rank", "Shelf|Lower"),
        ("q=shelf", "Shelf"),
    ] {
        let found = names(&public.get(&format!("/categories?{query}")).await.expect(200));
        assert_eq!(found.join("|"), expected, "{query}");
    }
}

async fn what_a_list_does_not_know_is_refused(mut host: TestHost) {
    let (admin, public) = (host.admin().await, host.anonymous());
    fill(&admin, 0..5).await;
    let cases = [
        ("limit=0", "invalid_parameter"),
        ("limit=101", "invalid_parameter"),
        ("limit=-1", "invalid_parameter"),
        ("limit=", "invalid_parameter"),
        ("limit=1e1", "invalid_parameter"),
        ("limit=99999999999999999999", "invalid_parameter"),
        ("limit=1&limit=2", "invalid_parameter"),
        ("offset=10001", "invalid_parameter"),
        ("offset=-1", "invalid_parameter"),
        ("offset=x", "invalid_parameter"),
        ("count=all", "invalid_parameter"),
        ("sort=weight", "unknown_sort"),
        ("sort=description", "unknown_sort"),
        ("sort=--name", "unknown_sort"),
        ("sort=name,name", "invalid_parameter"),
        ("sort=variants.sku", "unknown_sort"),
        ("filter[description]=x", "unknown_filter"),
        ("filter[nowhere]=x", "unknown_filter"),
        ("filter[name][like]=x", "unknown_filter"),
        ("filter[name][$ne]=x", "unknown_filter"),
        ("filter[name][eq][x]=x", "unknown_filter"),
        ("filter[]=x", "unknown_filter"),
        ("filter[or][x][name][eq]=x", "invalid_parameter"),
        ("filter[version]=x", "invalid_parameter"),
        ("filter[version]=9223372036854775808", "invalid_parameter"),
        ("filter[version][prefix]=1", "unknown_filter"),
        ("filter[createdAt]=yesterday", "invalid_parameter"),
        ("filter[name][exists]=1", "invalid_parameter"),
        ("filter=x", "invalid_parameter"),
        (r#"filter={"nowhere":1}"#, "unknown_filter"),
        (r#"filter={"name":{"$ne":1}}"#, "unknown_filter"),
        (r#"sort=["description","ASC"]"#, "unknown_sort"),
        ("range=[9,0]", "invalid_parameter"),
        ("range=[10001,10002]", "invalid_parameter"),
        ("range=[0,9]&limit=5", "invalid_parameter"),
        ("_start=5&_end=5", "invalid_parameter"),
        ("_sort=description", "unknown_sort"),
        ("description_like=x", "unknown_parameter"),
        ("name_between=x", "unknown_parameter"),
        ("nonsense=1", "unknown_parameter"),
        ("Limit=1", "unknown_parameter"),
        ("=1", "unknown_parameter"),
        ("cursor=", "cursor_mismatch"),
        ("cursor=nonsense", "cursor_mismatch"),
        ("cursor=%00", "invalid_parameter"),
        ("cursor=x&offset=1", "invalid_parameter"),
        ("q=%FF", "invalid_parameter"),
        ("filter[name]=%C3%28", "invalid_parameter"),
        // What no document can hold finds nothing, or is refused; it is not a failure.
        ("filter[name]=%00", "invalid_parameter"),
        ("filter[name][contains]=a%00b", "invalid_parameter"),
        ("filter[name][in]=a,%00", "invalid_parameter"),
        ("category=%00", "invalid_parameter"),
        ("q=%00", "invalid_parameter"),
    ];
    writes_nothing(&host, async {
        for (query, code) in cases {
            let answer = public.get(&format!("/products?{}", quoted(query))).await;
            assert_eq!(answer.status, 400, "{query}: {}", answer.text());
            answer.expect_problem(400, code);
        }
        let long = "x".repeat(201);
        public.get(&format!("/products?q={long}")).await.expect_problem(400, "invalid_parameter");
        let many = "filter[name]=x&".repeat(51);
        public.get(&format!("/products?{many}")).await.expect_problem(400, "invalid_parameter");
        let many = "filter[name]=x&".repeat(201);
        public.get(&format!("/products?{many}")).await.expect_problem(400, "invalid_parameter");
        let ids = vec!["a"; 1_001].join(",");
        public.get(&format!("/products?filter[id][in]={ids}")).await.expect_problem(400, "invalid_parameter");
        public.get("/categories?filter[name]=%00").await.expect_problem(400, "invalid_parameter");
        public.get("/categories/tree?root=%00").await.expect_problem(400, "invalid_parameter");
        public.get("/categories?q=x&fuzzy=1").await.expect_problem(400, "unknown_parameter");
        let answer =
            admin.send(admin.request(Method::POST, "/products?limit=1").json(&product("X", "X"))).await;
        answer.expect_error_at(400, "unknown_parameter", "limit", "unknown_parameter");
        admin.get("/products/none?field=id").await.expect_problem(400, "unknown_parameter");
    })
    .await;
}

async fn other_tools_queries_are_understood(mut host: TestHost) {
    let (admin, public) = (host.admin().await, host.anonymous());
    fill(&admin, 0..30).await;
    let all = public.get("/products?limit=100&sort=name").await.expect(200);
    let (first, second) = (id(&all[0]).to_owned(), id(&all[1]).to_owned());
    for (theirs, ours) in [
        (
            r#"sort=["name","DESC"]&range=[5,9]&filter={}"#.to_owned(),
            "sort=-name&offset=5&limit=5".to_owned(),
        ),
        (
            r#"sort=["id","ASC"]&range=[0,499]&filter={"taxClass":"t1"}"#.to_owned(),
            "sort=id&limit=100&filter[taxClass]=t1".to_owned(),
        ),
        (
            format!(r#"filter={{"id":["{second}","{first}"]}}&sort=["name","ASC"]"#),
            format!("filter[id][in]={first},{second}&sort=name"),
        ),
        (
            r#"filter={"q":"item 00","taxClass":["t0","t1"]}"#.to_owned(),
            "q=item%2000&filter[taxClass][in]=t0,t1".to_owned(),
        ),
        (
            "_start=3&_end=8&_sort=createdAt,name&_order=desc,asc".to_owned(),
            "offset=3&limit=5&sort=-createdAt,name".to_owned(),
        ),
        (
            "name_like=01&taxClass_ne=t0&_end=10".to_owned(),
            "filter[name][contains]=01&filter[taxClass][ne]=t0&limit=10".to_owned(),
        ),
        (format!("id={first}&id={second}"), format!("filter[id][in]={second},{first}")),
    ] {
        let theirs_answer = public.get(&format!("/products?{}", quoted(&theirs))).await;
        let ours_answer = public.get(&format!("/products?{ours}")).await;
        for header in ["x-total-count", "content-range"] {
            assert_eq!(theirs_answer.header(header), ours_answer.header(header), "{theirs}: {header}");
        }
        let (theirs_items, ours_items) = (theirs_answer.expect(200), ours_answer.expect(200));
        assert_eq!(theirs_items, ours_items, "{theirs}");
        assert_ne!(ours_items, json!([]), "{ours}");
    }
    // The link to the next page says its place by the cursor alone, in every dialect.
    for query in [r#"range=[0,9]&sort=["name","ASC"]"#, "_start=0&_end=10&_sort=name"] {
        let mut path = Some(format!("/products?{}", quoted(query)));
        let mut seen = Vec::new();
        while let Some(at) = path {
            let answer = public.get(&at).await;
            path = next(&answer);
            seen.extend(names(&answer.expect(200)));
        }
        assert_eq!(seen, names(&all), "{query}");
    }
}

async fn sparse_fields_leave_the_rest_out(mut host: TestHost) {
    let (admin, public) = (host.admin().await, host.anonymous());
    fill(&admin, 0..3).await;
    let whole = public.get("/products?sort=name").await;
    let sparse = public.get("/products?sort=name&fields=name,status").await;
    assert_eq!(sparse.header("x-total-count"), whole.header("x-total-count"));
    assert_ne!(sparse.header("etag"), whole.header("etag"));
    let (whole, sparse) = (whole.expect(200), sparse.expect(200));
    for (whole, sparse) in whole.as_array().unwrap().iter().zip(sparse.as_array().unwrap()) {
        assert_eq!(*sparse, json!({"id": whole["id"], "name": whole["name"], "status": whole["status"]}));
    }
    let path = format!("/products/{}", id(&whole[0]));
    let one = public.get(&format!("{path}?fields=variants")).await;
    let tag = one.header("etag").unwrap().to_owned();
    assert!(tag.starts_with("\"1-"), "{tag}");
    assert_eq!(one.expect(200), json!({"id": whole[0]["id"], "variants": whole[0]["variants"]}));
    let again = public.request(Method::GET, &format!("{path}?fields=variants")).header("if-none-match", &tag);
    assert_eq!(public.send(again).await.status, 304);
    // The tag of a part is good for a change of the whole.
    let patch = admin.request(Method::PATCH, &path).header("if-match", &tag).json(&json!({"tags": ["x"]}));
    admin.send(patch).await.expect(200);
    let shelf = admin.post("/categories", &category("Shelf")).await.expect(201);
    let sparse = public.get(&format!("/categories/{}?fields=slug", id(&shelf))).await.expect(200);
    assert_eq!(sparse, json!({"id": shelf["id"], "slug": "shelf"}));
    for (query, pointer) in [("fields=nonsense", "fields"), ("fields=name,", "fields"), ("fields=", "fields")]
    {
        let answer = public.get(&format!("/products?{query}")).await;
        answer.expect_error_at(400, "invalid_parameter", pointer, "invalid_parameter");
    }
}

async fn a_cursor_belongs_to_its_query(mut host: TestHost) {
    let (admin, public) = (host.admin().await, host.anonymous());
    fill(&admin, 0..10).await;
    for name in ["A", "B", "C"] {
        admin.post("/categories", &category(name)).await.expect(201);
    }
    let first = public.get("/products?limit=3&sort=name").await;
    let cursor = first.header("x-next-cursor").unwrap().to_owned();
    let follow = public.get(&format!("/products?limit=2&sort=name&cursor={cursor}")).await.expect(200);
    assert_eq!(names(&follow), ["Item 003", "Item 004"], "another limit is another page of the same list");
    let mut half = cursor.clone();
    half.truncate(cursor.len() / 2);
    for other in [
        format!("/products?limit=3&cursor={cursor}"),
        format!("/products?limit=3&sort=-name&cursor={cursor}"),
        format!("/products?limit=3&sort=name,slug&cursor={cursor}"),
        format!("/products?limit=3&sort=name&q=item&cursor={cursor}"),
        format!("/products?limit=3&sort=name&filter[version]=1&cursor={cursor}"),
        format!("/categories?sort=name&cursor={cursor}"),
        format!("/products?limit=3&sort=name&cursor={half}"),
        format!("/products?limit=3&sort=name&cursor={cursor}AAAA"),
    ] {
        public.get(&other).await.expect_problem(400, "cursor_mismatch");
    }
    // Staff see a different list.
    admin
        .get(&format!("/products?limit=3&sort=name&cursor={cursor}"))
        .await
        .expect_problem(400, "cursor_mismatch");
}
