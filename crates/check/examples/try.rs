//! Tries.
#![allow(missing_docs, clippy::all)]
use hvrsim_check::{explore::*, small::Shape};
fn main() {
 std::panic::set_hook(Box::new(|_| {}));
    let which = std::env::args().nth(1).unwrap();
    std::panic::set_hook(Box::new(|_| {}));
    if which == "walk" {
        let a: u64 = std::env::args().nth(2).unwrap().parse().unwrap(); let b: u64 = std::env::args().nth(3).unwrap().parse().unwrap();
        let t = std::time::Instant::now();
        let mut bad: std::collections::BTreeMap<String, Vec<(usize, u64)>> = Default::default();
        for seed in a..b { let w = hvrsim_check::walk::walk(seed).unwrap(); if let Some(v) = w.violation { let f: String = v.found.chars().take(150).collect(); bad.entry(format!("{}: {}", v.claim, f)).or_default().push((w.acts.len(), seed)); } }
        println!("{} walks {:?}", b - a, t.elapsed());
        for (k, mut v) in bad { v.sort(); println!("{} {k} {:?}", v.len(), &v[..v.len().min(3)]); }
        return;
    }
    if which == "show" {
        let a: u64 = std::env::args().nth(2).unwrap().parse().unwrap();
        let w = hvrsim_check::walk::walk(a).unwrap(); println!("{:?} {:?}", w.shape, w.violation);
        let mut sim = w.shape.bare(a, hvrsim_sim::store::Stamps::default()).unwrap();
        for act in &w.acts { println!("{}", hvrsim_check::act::Told(&sim, *act)); let d = hvrsim_check::act::attempt(*act, &mut sim).unwrap(); if let Ok(hvrsim_check::act::Done::Answered(o)) = d { println!("      -> {:?} {:?}", o.code, o.refusal.map(|r| r.rule)); } for r in sim.recorder.take() { if !matches!(r.what, hvrsim_sim::trace::What::Called{..}) { println!("        {} {:?} {:?}", r.at, r.host.map(|h| h.0+1), r.what); } } println!("      {}", hvrsim_check::situation::describe(&sim)); }
        return;
    }
    let max: usize = std::env::args().nth(2).unwrap().parse().unwrap();
    let start = Shape::default().protected(1, Default::default()).unwrap();
    let mut b = match which.as_str() { "core" => Bounds::core(), "faults" => Bounds::faults(), _ => Bounds::all() };
    b.situations = max; for a in std::env::args().skip(3) { match a.as_str() { "nowrites" => b.writes=false, "writes" => b.writes=true, "u0" => b.under_way=0, "u2" => b.under_way=2, c => b.calls.retain(|x| format!("{x:?}") != c) } }
    let t = std::time::Instant::now();
    let e = explore(start.clone(), &b, hvrsim_scenario::batch::cores()).unwrap();
    println!("{} situations {} steps {:?} cut short {}", e.situations(), e.steps(), t.elapsed(), e.cut_short);
    println!("{} rules {:?}", e.rules.len(), e.rules);
    for (v, acts) in &e.violations { println!("VIOLATION {v:?}"); let mut s = start.clone(); for a in acts { println!("   {}", hvrsim_check::act::Told(&s, *a)); let _ = hvrsim_check::act::attempt(*a, &mut s); } println!("  => {}", hvrsim_check::situation::describe(&s)); }
    if !e.cut_short { for d in e.dead_ends(&start, &[]).unwrap() { println!("DEAD {} {}", d.count, d.situation); let s = start.clone(); for a in d.acts { println!("   {}", hvrsim_check::act::Told(&s, a));} } }

 if std::env::var("DIAG").is_ok() {
  let mut m: std::collections::BTreeMap<String, Vec<String>> = Default::default();
  let n = e.situations() as u32;
  for i in (n/2..n).step_by(8) { let s = replay(&start, &e.way_to(i)).unwrap(); m.entry(hvrsim_check::situation::describe(&s)).or_default().push(hvrsim_check::situation::text(&s)); }
  let mut v: Vec<_> = m.into_iter().collect(); v.sort_by_key(|x| std::cmp::Reverse(x.1.len()));
  for (d, t) in v.iter().take(12) { println!("{} {}", t.len(), d); }
  let mut lines: std::collections::BTreeMap<(usize,String), usize> = Default::default();
  for t in &v[0].1 { for (i,l) in t.lines().enumerate() { *lines.entry((i*0,l.trim().to_string())).or_default() += 1; } }
  let total = v[0].1.len();
  let mut l: Vec<_> = lines.into_iter().filter(|x| x.1 % total != 0).collect(); l.sort_by_key(|x| std::cmp::Reverse(x.1));
  for ((_, s), c) in l.iter().take(120) { println!("{c} {s}"); }
 }
}
