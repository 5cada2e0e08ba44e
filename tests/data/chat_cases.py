"""Small expressions and pieces of templates, and those that must fail."""

EXPRESSIONS = r'''
1 + 2 * 3 - 4
(1 + 2) * 3
7 // 2, -7 // 2, 7 % 3, -7 % 3, 7 % -3
7 / 2, 8 / 2, 1e3, 1.5e-7, 0.1 + 0.2
7.5 // 2, -7.5 // 2, -7.5 % 2, 2.0 ** 0.5
2 ** 3 ** 2, -2 ** 2, 2 ** -1, 10 ** 15
1_000, 0x1F, 0b101, 0o17
1e16, 1e15, 123456789.0, 1e-5, 0.0001, 1e100, -0.0
true + true, true and 'yes', false or 'no', not true, not not 1
1 < 2 < 3, 1 < 2 > 3, 1 == 1.0, true == 1, '1' == 1
1 == 1 != 2, 3 >= 3, 3 <= 2, 'a' < 'b', 'B' < 'a', 'é' > 'z'
[1, 2] == [1, 2], [1, 2] == (1, 2), (1, 2) < (1, 3), [2] > [1, 5]
{'a': 1} == {'a': 1.0}, none == none, none is none, none != 0
'a' ~ 1 ~ none ~ true ~ 1.0 ~ [1]
'x' * 3, 2 * 'ab', [1] * 2, 'a' + 'b'
'a' 'b' "c"
1 if true else 2, 1 if false, (1 if false) is defined
'a' if 0 else 'b' if 0 else 'c'
1 in [1, 2], 3 not in [1, 2], 'a' in 'cat', 'k' in {'k': 0}, 'v' in {'k': 'v'}.values()
not 1 in [2], not (1 == 2 or 3 == 3)
1 or 2 and 3, 0 or none or '' or 'last', 1 and 0 and 2
[], (), {}, (1,), [1, [2, (3,)]], {'a': {'b': none}}
[1, 2, 3,], (1, 2,), {'a': 1,}
{1: 'a', 1.0: 'b', true: 'c', 'x': 2}
'tab\tnew\nquote\'"', ['tab\tnew\nquote\'"', "it's", 'say "x"']
'\x41\u00e9\U0001F600\101\q\\'
['é', '\u00a0', '\u200b', '\x7f', '\x00', '🦉', '\u2028', 'ß']
'line \
goes on'
"abc"[0], "abc"[-1], "abc"[5], "abc"[1:], "abc"[:-1], "abc"[::-1], "abc"[::2]
'grüße'[2], 'grüße'[1:4], 'grüße'[::-1], 'grüße'|length
[1,2,3,4,5][1:3], [1,2,3,4,5][::-2], [1,2,3][5:], [1,2,3][-2:], (1,2,3)[:2], [1,2,3][4:0:-1]
[1,2,3][true], [1,2,3].1, [[1,2],[3]].0.1, {'a': {'b': [7]}}.a.b[0]
{'a': 1}['a'], {'a': 1}.b is defined, {'a': 1}['b']|default('none'), {1: 'one'}[1]
{'items': 5}['items'], {'a': 5}['items'] is callable, {'items': 5}.items is callable
missing, missing is defined, missing|default('x'), missing|length, missing ~ 'a', [missing], missing == other
missing is undefined, missing is none, missing is string, missing is iterable, missing is sequence, missing or 5
'  a b  '.strip(), '  a'.lstrip(), 'a  '.rstrip(), 'xxaxx'.strip('x'), 'abcba'.strip('ab'), '\n\ta\n'.strip()
'a,b,,c'.split(','), 'a b  c '.split(), 'a,b,c'.split(',', 1), 'a b c'.split(None, 1), 'a,b,c'.rsplit(',', 1), ''.split(), ''.split(',')
'<think>a</think>b'.split('</think>')[-1], 'ab'.split('ab'), 'a b c'.split(maxsplit=1), ' a  b '.rsplit(none, 1)
'one\ntwo\r\nthree\n'.splitlines(), 'a\nb'.splitlines(true)
'hello'.startswith('he'), 'hello'.startswith(('x', 'h')), 'hello'.endswith('lo'), 'hello'.startswith('l', 2), 'hello'.endswith('l', 0, 4)
'hello'.find('l'), 'hello'.rfind('l'), 'hello'.find('z'), 'größe'.find('e'), 'hello'.index('e'), 'banana'.count('an')
'a-b-c'.replace('-', '+'), 'a-b-c'.replace('-', '', 1), 'abc'.replace('', '.'), 'aaa'.replace('aa', 'b')
'Hello World'.upper(), 'Hello World'.lower(), 'hello wORLD'.capitalize(), "they're bill's".title(), 'straße'.upper(), 'ΟΔΟΣ ΣΑΣ'.lower()
'hello wORLD-foo (bar) it\'s'|title, 'hELLO'|capitalize, 'ÉCOLE'|lower, 'école'|upper, 5|upper
'-'.join(['a', 'b']), ''.join(('x', 'y')), ', '.join({'k': 1, 'l': 2}), '-'.join('abc')
'{} and {}'.format(1, 'b'), '{1}{0}'.format('a', 'b'), '{x!r:>6}|{y:<4}|{y:^5}|'.format(x='q', y='w'), '{{}}'.format()
'{:05d} {:+} {:.2f} {:,} {:x} {:8.3f}| {:e}'.format(42, 7, 3.14159, 1234567, 255, 2.5, 12345.678)
'%s is %d and %.3f' % ('x', 3, 2.5), '%5s|%-5s|%05d' % ('a', 'b', 42), '%r' % 'q', '%%' % (), '%x %X' % (255, 255), '%(a)s' % {'a': 1}
'%s-%s'|format(1, 'b'), '%(n)s'|format(n=2)
'abc'.center(8, '*'), 'abc'.ljust(5) ~ '|', 'abc'.rjust(5), 'ab'.center(5)
'prefix_x'.removeprefix('prefix_'), 'x.py'.removesuffix('.py'), 'x'.removeprefix('y'), 'k=v=w'.partition('=')
'abc'.isalpha(), '12'.isdigit(), 'a1'.isalnum(), ''.isdigit(), ' '.isspace(), 'ab'.islower(), 'AB1'.isupper()
{'a': 1, 'b': 2}.items(), {'a': 1}.keys(), {'a': 1}.values(), {'a': 1}.get('a'), {'a': 1}.get('b'), {'a': 1}.get('b', 3)
{'b': 1, 'a': 2}|dictsort, {'b': 1, 'A': 2}|dictsort, {'b': 1, 'a': 2}|dictsort(false, 'value'), {'b': 1, 'A': 2}|dictsort(true, reverse=true)
{'b': 1}|items|list, missing|items|list, {'a': 1}|list, {'a': 1, 'b': 2}|length, {'z': 1}|first
[1, 2, 3].index(2), [1, 1, 2].count(1), (1, 2).count(2)
range(5)|list, range(1, 4)|list, range(10, 0, -3)|list, range(3), range(0, 6, 2), range(3)|length, range(5)[2], range(5)[-1]
dict(a=1, b='x'), dict({'a': 1}, c=2), dict([('k', 'v')])
[3, 1, 2]|sort, ['b', 'A', 'c']|sort, ['b', 'A', 'c']|sort(case_sensitive=true), [3, 1, 2]|sort(reverse=true), 'cab'|sort
[{'n': 2, 'm': 'b'}, {'n': 1, 'm': 'a'}, {'n': 2, 'm': 'a'}]|sort(attribute='n,m')
[{'n': 2, 'm': 'b'}, {'n': 1, 'm': 'a'}]|sort(attribute='n', reverse=true)|map(attribute='m')|list
['a', 'b', 'A', 'a']|unique|list, ['a', 'A']|unique(true)|list, [1, 1.0, true, 2]|unique|list
[1, 2, 3]|first, [1, 2, 3]|last, []|first is defined, 'abc'|first, 'abc'|last
[1, 2, 3]|reverse|list, 'abc'|reverse, (1, 2)|reverse|list, {'a': 1, 'b': 2}|reverse|list
[1, 2, 3]|join, [1, 'a', none]|join('-'), [{'a': 1}, {'a': 2}]|join(',', attribute='a'), 'abc'|join('.'), [1, 2]|join(d='+')
[1, 2, 3]|map('string')|list, ['a ', ' b']|map('trim')|join('|'), [{'a': {'b': 1}}]|map(attribute='a.b')|list, [{'a': 1}, {}]|map(attribute='a', default='d')|list
['x', 'y']|map('replace', 'x', 'z')|list, [[1, 2], [3]]|map('first')|list, [[1, 2], [3]]|map(attribute=0)|list, none|map('upper')|list
[1, 2, 3, 4]|select('odd')|list, [1, 2, 3, 4]|reject('odd')|list, [0, 1, '', 'a']|select|list, [1, 5, 9]|select('gt', 4)|list, [1, 2]|select('in', [2, 3])|list
[{'a': 1}, {'a': 0}, {}]|selectattr('a')|list, [{'a': 1}, {}]|selectattr('a', 'defined')|list, [{'a': 1}, {'a': 2}]|selectattr('a', '==', 2)|list, [{'a': 1}, {}]|rejectattr('a', 'defined')|list
[1, 2, 3]|min, [1, 2, 3]|max, ['b', 'A']|min, [{'a': 2}, {'a': 1}]|min(attribute='a'), []|max is defined, [1, 2.5]|sum, [{'a': 2}, {'a': 1}]|sum(attribute='a'), [[1], [2]]|sum(start=[])
'  x  '|trim, 'xxyxx'|trim('x'), 5|trim, none|trim, '\u00a0\u3000a\x1f'|trim
'a b a'|replace('a', 'c'), 'aaa'|replace('a', 'b', 2), 123|replace(2, 'x')
'42'|int, '4.7'|int, 'x'|int, 'x'|int(7), '0x1A'|int(base=16), '1_0'|int, ' 12 '|int, 3.99|int, -3.99|int, true|int, none|int, []|int, '1e3'|int, '0b11'|int(0, 2), 'ff'|int(0, 16)
'1.5'|float, 'x'|float, 'x'|float(2.5), 3|float, '1e3'|float, 'inf'|float, '-nan'|float|string, true|float, '.5'|float, '5.'|float, '1_0.5'|float
1|string, none|string, [1, 'a']|string, true|string|upper, 1.0|string, 'a'|string
42.55|round, 42.55|round(1), 2.5|round, 3.5|round, 42.55|round(1, 'floor'), 42.51|round(1, 'ceil'), 42|round, 42|round(0, 'ceil'), 1.005|round(2), -2.5|round
-5|abs, 5.5|abs, (-5)|abs, -0.5|abs
'x'|default('d'), ''|default('d'), ''|default('d', true), none|default('d'), none|d('d', boolean=true), missing|d
'a\nb\n\nc'|indent, 'a\nb'|indent(2, true), 'a\n\nb'|indent('>', blank=true), 'a'|indent
'<a href="x">&\'</a>'|escape, '<b>'|e|upper, '<b>'|safe, ('<b>'|safe) + '<i>', '<i>' + ('<b>'|safe), ('<b>'|safe) ~ '<i>', '<b>'|safe|length
[1, 'a"\\/\n\t\x08\x1f', none, true, 1.5, {'k': [], 'e': {}}]|tojson, 'é🦉\u2028'|tojson, 'é🦉\x7f'|tojson(ensure_ascii=true)
{'b': [1, {'c': 2}], 'a': {}}|tojson(indent=2), {'b': 1, 'a': 2}|tojson(sort_keys=true), [1, {'a': 2}]|tojson(separators=(',', ':')), [1]|tojson(indent=0), {1: 2, none: 3, true: 4, 1.5: 5}|tojson
(1, 2)|tojson, '<b>\'&'|tojson, 1e22|tojson, []|tojson(indent=4), 'x'|tojson|safe
1 is odd, 2 is even, 6 is divisibleby 3, 6 is divisibleby(4), 1 is number, 1.5 is number, true is number, '1' is number
1 is integer, 1.0 is integer, true is integer, 1.0 is float, true is boolean, 1 is boolean, true is true, 1 is true, false is false
'a' is string, 1 is string, {} is mapping, [] is mapping, [] is iterable, 'a' is iterable, 1 is iterable, [] is sequence, {} is sequence, {}.items() is sequence
'a' is lower, 'A' is upper, 'a' is in 'abc', 1 is in [1], 1 is eq 1, 1 is ne 1, 2 is gt 1, 1 is lessthan 2, 1 is equalto 1.0, 1 is ge 1, 2 is le 1
range is callable, 'a' is callable, none is sameas none, true is sameas 1, 'x' is filter, 'trim' is filter, 'odd' is test, 'a' is escaped
1 is not odd, not 1 is odd, 1 is odd and 2 is even, (1 is odd) == true, 'a' is not string or 3 is none
messages is defined, tools is none, documents is none, add_generation_prompt, bos_token, eos_token, pad_token is defined
messages[0].role, messages[-1]['content'], messages|length, messages[0]['tool_calls'] is defined, messages[0].get('x', 'y')
strftime_now('%Y-%m-%d'), strftime_now('%d %b %Y'), strftime_now('%A %B %j %H:%M:%S %p %I %y %%'), strftime_now('%-d/%m %e')
loop is defined, caller is defined, namespace is defined, raise_exception is defined, self_made is defined
(messages|map(attribute='role')|list)[::-1]|join('>')
[1, 2, 3]|map('float')|map('int')|sum, 'a,b'.split(',')|map('upper')|join, ['a']|last|upper
-1|abs, 2 * 3|string, 1 + 2|float, '1' + 2|string
1.0 // 0.3, 5 % 3.5, 2 ** 62, 10 // 3.0
'a' < 'b' == true, 1 < 2 in [2], [1] + [2] == [1, 2]
'a'.upper().lower().strip()[0], ('a' ~ 'b').upper(), ['a', 'b'][0].upper()
'%d%%' % 95, '%s' % none, '%s' % [1, 2], '%5.1f|' % 2.25, '%+d' % 3
'a'|replace('a', missing|default('q')), missing|string|length, missing|upper ~ '.', missing|join(',') ~ '.'
('a', 'b')|join, ('a',)[0], (('a'))
{'a': 1}.a + {'b': 2}['b'], {'a-b': 1}['a-b'], {'x': [1, {'y': 2}]}.x[1].y
namespace(a=1).a, namespace({'b': 2}, c=3).b, namespace(a=1).zzz is defined
'x' if true else 'é'.encode('utf-8')
not missing, missing|list, (missing|first) is defined, missing|sort, 'a' in missing, missing in [1], missing in [other]
1 if missing else 2, missing if missing is defined else 'fallback', (none or missing)|default('z')
"a" == 'a', "\"" == '"', '\'' == "'"
[1, [2, [3]]]|string, {'a': (1,), 'b': 'c"'}|string, [true, none, 1.50]|string
9007199254740993, 9223372036854775807, -9223372036854775807, 3 * 10 ** 18
1 == true, 0 == false, '' == false, [] == false, none == false, 1.0 in [1], true in [1]
'abc' * 0, 'abc' * -1, [1] * 0, '' ~ ''
'a\u0301'|length, '🦉'|length, 'a\tb'|length, '\r\n'|length
'x'.__class__, messages.__len__ is defined, messages.append is defined
'a|b'|replace('|', '}}'), '{{ x }}', "{% y %}", '#}'
'ab\ncd'|upper, 'A\nB'.splitlines()|length, ' a\n b'|trim|length
([1, 2, 3]|select('odd'))|list|length, [[1, 2], [3, 4]]|map('sum')|list
'ﬁ'|lower, 'İ'|lower|length, 'ǅ'|lower, 'ά'|upper, 'я'|upper, 'ÿ'|upper
'hello world'|title|replace(' ', ''), 'ab cd'.title(), '1a 2b'.title(), 'a-b'|title
'one two'.split(' ')[1], 'a.b.c'.rsplit('.', 1)[0], 'key: value'.split(': ', 1)|last
3.0, 3.10, 1e2, 5e-324, 1.7976931348623157e308, 100000000000000000000.0, 0.1, 1/3, 2/3
true|string, true|tojson, True, False, None, none|tojson, true|int + 1
'a' ~ ('b' if true) ~ ('c' if false), ('c' if false)|default('d')
'x'.format(1), '{}'.format(none), '{:>4}|{:*^5}'.format('é', 'ab'), '{0}{0}'.format('r'), '{a}'.format(a=1, b=2)
[4, 2, 8]|sort|first, [4, 2, 8]|sort|last, [[2, 'b'], [1, 'a']]|sort, [(1, 'b'), (1, 'a')]|sort
'A' if 'x' in ['x'] and not ('y' in ['x']) else 'B'
'%08.3f|%e|%g|%g|%i|%o' % (3.14159, 1234.5, 0.00001, 1000000.0, 7, 8)
'%-8s|%8s|%.2s' % ('ab', 'cd', 'efgh'), '%c' is string, '% d' % 5
'{:<10}|{:>10}|{:^10}'.format('left', 'right', 'mid'), '{:%}'.format(0.25), '{:b}'.format(5), '{:#x}'.format(255), '{:g}'.format(1e10)
'''.strip("\n").replace("line \\\ngoes on", "line \\\x00goes on").split("\n")
EXPRESSIONS = [each.replace("\x00", "\n") for each in EXPRESSIONS]

SNIPPETS = [
    "{% for i in range(3) %}{{ i }}{% endfor %}",
    "{% for i in [] %}{{ i }}{% else %}none{% endfor %}",
    "{% for i in range(6) if i is odd %}{{ loop.index }}:{{ i }}/{{ loop.length }} {% else %}x{% endfor %}",
    "{% for a, b in {'x': 1, 'y': 2}.items() %}{{ a }}={{ b }}{% if not loop.last %},{% endif %}{% endfor %}",
    "{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}",
    "{% for c in 'héy' %}[{{ c }}]{% endfor %}",
    "{% for x in missing %}{{ x }}{% else %}empty{% endfor %}",
    "{% set x = 1 %}{% for i in [1, 2] %}{{ x }}{% set x = x + 1 %}{{ x }}{% endfor %}{{ x }}",
    "{% set ns = namespace(x=1) %}{% for i in [1, 2] %}{% set ns.x = ns.x * 3 %}{% endfor %}{{ ns.x }}",
    "{% set ns = namespace(on=true) %}{% for i in range(5) if ns.on %}{{ i }}{% if i == 1 %}{% set ns.on = false %}{% endif %}{% endfor %}",
    "{% for i in range(5) %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}",
    "{% for i in [1] %}{% break %}{% else %}after a break{% endfor %}",
    "{% for i in [1] %}{% continue %}{% else %}after a continue{% endfor %}",
    "{% for i in [1, 2] %}{% if i == 2 %}{% break %}{% endif %}{% else %}never{% endfor %}",
    "{% for i in range(3) %}{% for j in range(2) %}{{ loop.index }}{{ i }}{{ j }} {% endfor %}{{ loop.index }};{% endfor %}",
    "{% for i in range(3) %}{% set outer = loop %}{% for j in range(2) %}{{ outer.index }}{{ loop.index }} {% endfor %}{% endfor %}",
    "{% for i in [1, 1, 2, 2, 1] %}{{ loop.changed(i) }}{% endfor %}",
    "{% for i in [1, 2, 3] %}{{ loop.previtem }}<{{ i }}>{{ loop.nextitem }} {{ loop.revindex0 }} {{ loop.first }} {{ loop.depth }}{% endfor %}",
    "{% for i in [1, 2, 3]|select('odd') %}{{ loop.last }}{{ loop.nextitem }}{{ loop.length }}{% endfor %}",
    "{% for i in [3, 4]|reverse %}{{ i }}{{ loop.length }}{{ loop.last }}{% endfor %}",
    "{% set odd = [1, 2, 3]|select('odd') %}{{ odd|list }}{{ odd|list }}",
    "{% if 0 %}a{% elif '' %}b{% elif [1] %}c{% else %}d{% endif %}",
    "{% if missing %}a{% endif %}{% if not missing %}b{% endif %}",
    "{% if true %}{% set leaked = 1 %}{% endif %}{{ leaked }}",
    "{% set a, b = 1, 2 %}{{ a + b }}{% set c = 1, 2 %}{{ c }}",
    "{% set (a, b) = [3, 4] %}{{ a }}{{ b }}",
    "{% set a %}  body {{ 1 + 1 }} {% endset %}[{{ a }}]{{ a is string }}",
    "{% set a | trim | upper %} body {% set inner = 5 %}{% endset %}[{{ a }}]{{ inner is defined }}",
    "{% macro m(a, b=2, c=a) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }} {{ m(1, c=5) }} {{ m(b=3, a=9) }} {{ m() }}",
    "{% macro m() %}{{ x }}{% endmacro %}{% set x = 1 %}{{ m() }}{% set x = 2 %}{{ m() }}",
    "{% macro m(x) %}{% set y = x %}{{ y }}{% endmacro %}{{ m(4) }}{{ y is defined }}{{ x is defined }}",
    "{% macro fac(n) %}{% if n < 2 %}1{% else %}{{ n * (fac(n - 1)|int) }}{% endif %}{% endmacro %}{{ fac(10) }}",
    "{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, z=3) }}",
    "{% macro box() %}<{{ caller() }}>{% endmacro %}{% call box() %}in{{ 1 }}{% endcall %}",
    "{% macro each(xs) %}{% for x in xs %}{{ caller(x) }}{% endfor %}{% endmacro %}{% call(v) each([1, 2]) %}({{ v }}){% endcall %}",
    "{% for i in [1, 2] %}{% macro m() %}{{ i }}{{ loop.index }}{% endmacro %}{{ m() }}{% endfor %}",
    "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}B{% endmacro %}{{ a() }}{{ a() | lower }}",
    "{% filter upper %}abc{{ 'd' }}{% endfilter %}{% filter replace('a', 'b') | trim %} aa {% endfilter %}",
    "{% with %}{% set q = 1 %}{{ q }}{% endwith %}{{ q is defined }}{% with a = 5, b = a %}{{ a }}{{ b }}{% endwith %}",
    "{% generation %}{% set g = 1 %}{{ g }}{% endgeneration %}{{ g is defined }}",
    "{% raw %}{{ x }}{% endraw %}{# gone #}{{ 1 }}{#- gone -#}  2",
    "a\n  {% if true %}\n  b\n  {% endif %}\nc\n",
    "a\n  {%- if true -%}\n  b\n  {%- endif -%}\nc\n\n",
    "a {% if true %} b {% endif %} c",
    "a\n  {%+ if true %}\nb{% endif %}\n\n",
    "{% if true +%}\nb{% endif %}",
    "{% set x = 1 -%}\n\n  {{- x }} \n {{ x -}} \n y",
    "\n\n{{ 1 }}\n\n",
    "{{ 1 }}\r\n{% if true %}\r\n2\r{% endif %}\r\n3\r\n",
    "{% set s = 'a\r\nb' %}{{ s|length }}",
    "  {{ 1 }}  {#- c #}\n  {# c -#}  \n  2",
    "{%if true%}{{1}}{%endif%}{{2}}{{-3-}}{{+4}}",
    "{{ {'a': {'b': 1}}['a']['b'] }}{{ {'x': 1}}}",
    "{{ '}}' }}{{ \"%}\" }}{{ '{#' }}{{ '{{' }}",
    "{% for m in messages %}{{ m['role'] }}:{{ m.content|length }};{% endfor %}",
    "{% for m in messages[::-1] %}{{ loop.index0 }}{{ m.role[0] }}{% endfor %}",
    "{% set ns = namespace(found=[]) %}{% for m in messages %}{% set ns.found = ns.found + [m.role] %}{% endfor %}{{ ns.found }}",
    "{% set messages = messages[1:] %}{{ messages|length }}{% for m in messages %}{{ m.role }}{% endfor %}",
    "{% if messages[0]['role'] == 'system' %}s{% elif messages[0].role == 'user' and messages|length > 1 %}u{% endif %}",
    "{% for m in messages %}{% if loop.last %}{{ m.content.strip() }}{% endif %}{% endfor %}",
    "{% set d = dict(a=1) %}{% set d = dict(d, b=2) %}{{ d }}{% for k in d %}{{ k }}{% endfor %}",
    "{{ 'a' if true }}{{ 'b' if false }}c",
    "{% if x is not defined %}{% set x = 'dflt' %}{% endif %}{{ x }}",
    "{% if false %}{{ 1|no_such_filter }}{% endif %}fine",
    "{{ 'x' if true else 1|no_such_filter }}",
    "{% if false %}{{ 1 is no_such_test }}{% endif %}fine",
    "{{- '' -}}",
    "",
    "\n",
    "no tags at all { } % # {",
    "{% set x = [1, 2, 3] %}{{ x[0] }}{{ x[-1] }}{{ x.0 }}{{ x[1:] }}",
    "{% set text = 'a' %}{% for i in range(3) %}{% set text = text ~ i %}{% endfor %}{{ text }}",
    "{%- for i in range(2) %}\n  {%- if i %}\n    {{- i }}\n  {%- endif %}\n{%- endfor %}\nend",
    "{% macro indent_it(t, n=2) -%}\n{{ t | indent(n, first=true) }}\n{%- endmacro %}{{ indent_it('a\nb') }}",
    "{% for k, v in {'b': 1, 'a': [1, {'c': none}]}|dictsort %}{{ k }}={{ v|tojson }} {% endfor %}",
    "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = message['content'] %}{{ content }}|{% endfor %}",
]

FAILURES = [
    "{{ raise_exception('out of ' ~ 'order') }}",
    "{% if true %}{{ raise_exception('') }}{% endif %}",
    "{{ raise_exception(5) }}",
    "{{ missing.attribute }}",
    "{{ missing['item'] }}",
    "{{ missing() }}",
    "{{ missing + 1 }}",
    "{{ 'a' + missing }}",
    "{{ -missing }}",
    "{{ missing < 1 }}",
    "{{ missing[1:] }}",
    "{{ {}.a.b }}",
    "{{ 'a' + 1 }}",
    "{{ 1 + 'a' }}",
    "{{ 1 / 0 }}",
    "{{ 1 % 0 }}",
    "{{ 1.0 // 0 }}",
    "{{ 'a' < 1 }}",
    "{{ none < 1 }}",
    "{{ [] < {} }}",
    "{{ 1 in 2 }}",
    "{{ 1 in 'a' }}",
    "{% set n = none %}{{ n[1:] }}",
    "{% set n = {} %}{{ n[1:] }}",
    "{% set n = [1] %}{{ n[1.5:] }}",
    "{{ [1, 2][::0] }}",
    "{{ none() }}",
    "{{ 'a'() }}",
    "{{ [1].append(2) }}",
    "{{ {}.update({'a': 1}) }}",
    "{{ 'a'.strip(1) }}",
    "{{ 'a'.strip('a', 'b') }}",
    "{{ 'a'.split('') }}",
    "{{ 'a'.index('b') }}",
    "{{ 'a'.startswith(1) }}",
    "{{ ','.join([1]) }}",
    "{{ ','.join(5) }}",
    "{{ 5|length }}",
    "{{ none|length }}",
    "{{ 5|join }}",
    "{{ 5|list }}",
    "{{ ([1]|select)|length }}",
    "{{ [1, 'a']|sort }}",
    "{{ [1, 'a']|max }}",
    "{{ [1, 'a']|sum }}",
    "{{ ['a']|sum }}",
    "{{ missing|int }}",
    "{{ missing|tojson }}",
    "{{ range(3)|tojson }}",
    "{{ {(1, 2): 3}|tojson }}",
    "{{ {[1]: 2} }}",
    "{{ [[1]]|unique|list }}",
    "{{ 'a'|round }}",
    "{{ none|abs }}",
    "{{ 1|no_such_filter }}",
    "{{ 1 is no_such_test }}",
    "{{ [1]|map('no_such_filter')|list }}",
    "{{ [1]|select('no_such_test')|list }}",
    "{{ [1]|map|list }}",
    "{{ 'a'|trim(1, 2) }}",
    "{{ 'a'|trim(nothing=1) }}",
    "{{ 'a'|replace('a') }}",
    "{{ '%d' % 'a' }}",
    "{{ '%s %s' % 'a' }}",
    "{{ '%s' % ('a', 'b') }}",
    "{{ '{} {}'.format(1) }}",
    "{{ '{a}'.format(b=1) }}",
    "{{ '{:d}'.format('a') }}",
    "{{ range(1000000) }}",
    "{{ range(1, 2, 0)|list }}",
    "{{ range('a') }}",
    "{% for a, b in [1] %}{% endfor %}",
    "{% for a, b in [(1, 2, 3)] %}{% endfor %}",
    "{% for i in 5 %}{% endfor %}",
    "{% for i in none %}{% endfor %}",
    "{% set a, b = [1] %}",
    "{% set x = 5 %}{% set x.y = 1 %}",
    "{% set nothing.y = 1 %}",
    "{% set ns = namespace() %}{% set ns._x = 1 %}",
    "{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}",
    "{% macro m(a) %}{% endmacro %}{{ m(b=2) }}",
    "{% macro m(a) %}{{ a.b }}{% endmacro %}{{ m() }}",
    "{% macro m() %}x{% endmacro %}{% call m() %}y{% endcall %}",
    "{% for i in [1] %}{{ loop.cycle() }}{% endfor %}",
    "{% for i in [1] %}{% set loop = 1 %}{{ loop }}{% endfor %}",
    "{% break %}",
    "{% for i in [1] %}{% macro m() %}{% break %}{% endmacro %}{% endfor %}",
    "{% if true %}",
    "{% for i in [1] %}",
    "{% endif %}",
    "{% if true %}{% endfor %}",
    "{% if %}{% endif %}",
    "{% for in [1] %}{% endfor %}",
    "{% for x of [1] %}{% endfor %}",
    "{% unknown %}",
    "{% set %}",
    "{% set 1 = 2 %}",
    "{% set true = 2 %}",
    "{% %}",
    "{{ }}",
    "{{ 1",
    "{{ 1 }",
    "{{ 1 2 }}",
    "{{ 1 + }}",
    "{{ (1 }}",
    "{{ 1) }}",
    "{{ [1, }}",
    "{{ {'a' 1} }}",
    "{{ 'a }}",
    "{{ a. }}",
    "{{ a[] }}",
    "{{ a | }}",
    "{{ a is }}",
    "{{ f(a=1, 2) }}",
    "{{ f(**a, b) }}",
    "{{ f(a=1, a=2) }}",
    "{{ 1 is odd is true }}",
    "{{ $ }}",
    "{{ a ! b }}",
    "{{ a & b }}",
    "{{ '\\x4' }}",
    "{{ '\\ud83d' }}",
    "{# never closed",
    "{% raw %} never closed",
    "{% macro m(a=1, b) %}{% endmacro %}",
    "{% macro %}{% endmacro %}",
    "{% call 5 %}{% endcall %}",
    "{% filter no_such_filter %}x{% endfilter %}",
    "{% else %}",
    "{% endgeneration %}",
    "{% include 'x' %}",
    "{{ messages[0].content.nothing.more }}",
    "{{ dict(1) }}",
    "{{ namespace(1) }}",
    "{{ strftime_now() }}",
    "{{ 'x'|indent(none) }}",
    "{{ 5|indent }}",
    "{{ {'a': 1}|dictsort(by='nothing') }}",
    "{{ [3]|map(attribute='a', wrong=1)|list }}",
    "{{ [missing]|map(attribute='a')|list }}",
    "{{ 0 ** -1 }}",
    "{{ 'a' * 1.5 }}",
    "{{ not_there.split('x') }}",
    "{{ 'a' is divisibleby 2 }}",
    "{{ 1 is divisibleby }}",
]
