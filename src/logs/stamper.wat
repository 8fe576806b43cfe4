;; Puts 40 bytes behind every newline while it copies, 16 bytes at a time. `npm run wasm` makes stamper-module.ts of it.
(module
  ;; 11.5 MiB, of which only what is used becomes memory; src/logs/stamper.ts knows what lies where.
  (memory (export "memory") 184)
  ;; Copies $length bytes from $from to $to, where there is room for 16 more at each; the end of what was written.
  (func (export "stamp") (param $from i32) (param $length i32) (param $to i32) (param $head i32) (result i32)
    (local $begin v128) (local $middle v128) (local $rest i64) (local $block v128) (local $newlines i32) (local $end i32)
    (local.set $begin (v128.load (local.get $head)))
    (local.set $middle (v128.load offset=16 (local.get $head)))
    (local.set $rest (i64.load offset=32 (local.get $head)))
    (local.set $end (i32.add (local.get $from) (local.get $length)))
    ;; No newline is found behind the end.
    (v128.store (local.get $end) (v128.const i64x2 0 0))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $from) (local.get $end)))
        (local.set $block (v128.load (local.get $from)))
        (v128.store (local.get $to) (local.get $block))
        (local.set $newlines
          (i8x16.bitmask (i8x16.eq (local.get $block) (i8x16.splat (i32.const 10)))))
        (if (i32.eqz (local.get $newlines))
          (then
            (local.set $from (i32.add (local.get $from) (i32.const 16)))
            (local.set $to (i32.add (local.get $to) (i32.const 16)))
            (br $next)))
        ;; Goes on behind the first newline; what was copied after it is copied anew.
        (local.set $newlines (i32.add (i32.ctz (local.get $newlines)) (i32.const 1)))
        (local.set $from (i32.add (local.get $from) (local.get $newlines)))
        (local.set $to (i32.add (local.get $to) (local.get $newlines)))
        (v128.store (local.get $to) (local.get $begin))
        (v128.store offset=16 (local.get $to) (local.get $middle))
        (i64.store offset=32 (local.get $to) (local.get $rest))
        (local.set $to (i32.add (local.get $to) (i32.const 40)))
        (br $next)))
    ;; The last block went beyond the end by as much as $from did.
    (i32.sub (local.get $to) (i32.sub (local.get $from) (local.get $end)))))
