"""Conversations, and templates in the manner of the common families of chat models."""


def talk(*contents, system=None):
    messages = [{"role": "system", "content": system}] if system is not None else []
    for i, content in enumerate(contents):
        messages.append({"role": "assistant" if i % 2 else "user", "content": content})
    return messages


CONVERSATIONS = {
    "one": talk("Hello, who are you?"),
    "system": talk("What is 2+2?", system="Answer in one word."),
    "turns": talk("Hi", "Hello! <b>How</b> are you?", "  Fine,\n  and \"you\"?  "),
    "system turns": talk("a", "b", "c", "d", "e", system="  Be brief.\n"),
    "thinking": talk("7*6?", "<think>\nseven times six\n</think>\n\n42", "Sure?", "<think></think>Yes.", "Why?"),
    "unicode": talk("Grüße, 世界! 🦉 ß ΟΔΟΣ", "naïve\tcafé\u2028line", "\u00a0edge\u3000"),
    "empty": talk("", "", ""),
    "wrong order": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}],
    "assistant first": [{"role": "assistant", "content": "I begin."}],
    "late system": [{"role": "user", "content": "a"}, {"role": "system", "content": "b"}],
    "unknown role": [{"role": "critic", "content": "Hmm."}],
    "tool role": talk("weather?", "<tool_call>{}</tool_call>") + [{"role": "tool", "content": "{\"t\": 21}"}],
    "nobody": [],
}

STYLES = {}

STYLES["marked turns"] = """\
{% for message in messages %}
{{ '<|turn|>' + message['role'] + '\\n' + message['content'] + '<|over|>' + '\\n' }}
{% endfor %}
{% if add_generation_prompt %}
{{ '<|turn|>assistant\\n' }}
{% endif %}"""

STYLES["marked turns with a usual system"] = """\
{%- if not messages or messages[0].role != 'system' %}
    {{- '<|turn|>system\\nYou are a careful helper.<|over|>\\n' }}
{%- endif %}
{%- for message in messages -%}
    {{- '<|turn|>' ~ message.role ~ '\\n' ~ (message.content | trim) ~ '<|over|>' }}
    {{- '\\n' }}
{%- endfor -%}
{{- '<|turn|>assistant\\n' if add_generation_prompt else '' -}}"""

STYLES["instruction brackets"] = """\
{%- if messages and messages[0]['role'] == 'system' -%}
  {%- set system_text = messages[0]['content'] | trim -%}
  {%- set rest = messages[1:] -%}
{%- else -%}
  {%- set rest = messages -%}
{%- endif -%}
{{- bos_token -}}
{%- for m in rest -%}
  {%- if (m['role'] == 'user') != (loop.index0 % 2 == 0) -%}
    {{- raise_exception('Turns have to go user, assistant, user, and so on; number ' ~ loop.index ~ ' does not.') -}}
  {%- endif -%}
  {%- if m['role'] == 'user' -%}
    {%- set text = m['content'] -%}
    {%- if loop.first and system_text is defined -%}
      {%- set text = '<<SYS>>\\n' + system_text + '\\n<</SYS>>\\n\\n' + text -%}
    {%- endif -%}
    {{- '[INST] ' + text.strip() + ' [/INST]' -}}
  {%- elif m['role'] == 'assistant' -%}
    {{- ' ' + m['content'].strip() + ' ' + eos_token -}}
  {%- else -%}
    {{- raise_exception('The role ' + m['role'] + ' is not known.') -}}
  {%- endif -%}
{%- endfor -%}"""

STYLES["header ids with a date"] = """\
{{- bos_token }}
{%- if day is not defined %}
    {%- if strftime_now is defined %}
        {%- set day = strftime_now("%A, %d %b %Y") %}
    {%- else %}
        {%- set day = "Friday, 26 Jul 2024" %}
    {%- endif %}
{%- endif %}
{%- if plugins is not defined %}{%- set plugins = none %}{%- endif %}
{#- What stands first may be for the whole talk; -#}
{%- set intro = "" %}
{%- if messages and messages[0]['role'] == 'system' %}
    {%- set intro = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- endif %}
{{- "<|role:system|>\\n\\n" }}
{%- if plugins is not none or tools is not none %}{{- "Plugins are on.\\n" }}{%- endif %}
{{- "It is " + day + ".\\n\\n" + intro }}
{{- "<|stop|>" }}
{%- for m in messages %}
    {%- if 'calls' in m and not m.calls|length == 1 %}
        {{- raise_exception("Only one call, please.") }}
    {%- elif not (m.role == 'tool' or m.role == 'plugin') %}
        {{- '<|role:' + m['role'] + '|>\\n\\n'+ m['content'] | trim + '<|stop|>' }}
    {%- else %}
        {{- "<|role:plugin|>\\n\\n" }}
        {%- if m.content is mapping or (m.content is not string and m.content is iterable) %}
            {{- m.content | tojson }}
        {%- else %}
            {{- m.content | tojson(indent=1) }}
        {%- endif %}
        {{- "<|stop|>" }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|role:assistant|>\\n\\n' }}
{%- endif %}
"""

STYLES["turns of user and model"] = """\
{{ bos_token }}{% for m in messages %}{% if loop.first and m['role'] == 'system' %}\
{{ raise_exception('There is no place for a system message') }}{% endif %}\
{% if (loop.index0 % 2 == 1) == (m['role'] == 'user') %}{{ raise_exception('Turn ' ~ loop.index ~ ' is out of order') }}\
{% endif %}{% if m['role'] != 'assistant' %}{% set who = m['role'] %}{% else %}{% set who = 'model' %}{% endif %}\
{{ '<turn of="' + who + '">
' + m['content'] | trim + '</turn>
' }}{% endfor %}{% if add_generation_prompt %}{{'<turn of="model">
'}}{% endif %}"""

STYLES["turns with the system put before"] = """\
{{ bos_token }}
{%- set before = "" -%}
{%- set talk = messages -%}
{%- if messages and messages[0]['role'] == 'system' -%}
    {%- set talk = messages[1:] -%}
    {%- if messages[0]['content'] is string -%}
        {%- set before = messages[0]['content'] + '\\n--\\n' -%}
    {%- else -%}
        {%- set before = (messages[0]['content'] | map(attribute='text') | join) + '\\n--\\n' -%}
    {%- endif -%}
{%- endif -%}
{%- for m in talk -%}
    {{ '<' + {'assistant': 'model'}.get(m['role'], m['role']) + '>\\n' + (before if loop.first else "") }}
    {%- if m['content'] is string -%}
        {{ m['content'] | trim }}
    {%- elif m['content'] is iterable -%}
        {%- for part in m['content'] -%}
            {%- if part['type'] == 'text' -%}
                {{ part['text'] | trim }}
            {%- else -%}
                {{ '[' ~ part['type'] ~ ']' }}
            {%- endif -%}
        {%- endfor -%}
    {%- else -%}
        {{ raise_exception("This content cannot be written") }}
    {%- endif -%}
    {{ '</>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{'<model>\\n'}}
{%- endif -%}
"""

STYLES["bars with line ends"] = """\
{% for m in messages %}
{% if m['role'] == 'assistant' %}
{{ '<|A|>\n'  + m['content'] + eos_token }}
{% elif m['role'] == 'user' %}
{{ '<|U|>\n' + m['content'] + eos_token }}
{% elif m['role'] == 'system' %}
{{ '<|S|>\n' + m['content'] + eos_token }}
{% endif %}
{% if add_generation_prompt and loop.last %}
{{ '<|A|>' }}
{% endif %}
{% endfor %}"""

STYLES["bars in one line"] = (
    "{% for m in messages %}{% if m['content'] and m['role'] in ('user', 'system') %}"
    "{{'<|' + m['role'] + '|>' + '\\n' + m['content'] + '<|over|>' + '\\n'}}"
    "{% elif 'assistant' == m['role'] %}{{'<|assistant|>\\n' + m['content'] + '<|over|>\\n'}}{% endif %}"
    "{% endfor %}{% if not add_generation_prompt %}{{ eos_token }}{% else %}{{ '<|assistant|>\\n' }}{% endif %}"
)

STYLES["namespaces and flags"] = """\
{% if add_generation_prompt is not defined %}{% set add_generation_prompt = false %}{% endif %}
{% set state = namespace(orders='', after_tool=false, tools_seen=0) %}
{%- for m in messages %}
  {%- if m['role'] == 'system' %}
      {% set state.orders = state.orders + ('\\n\\n' if state.orders else '') + m['content'] %}
  {%- endif %}
{%- endfor %}
{{ bos_token }}{{ state.orders }}
{%- for m in messages %}
  {%- if m['role'] == 'tool' %}
    {%- set state.after_tool = true -%}
    {%- set state.tools_seen = state.tools_seen + 1 %}
    {{('[results]' if state.tools_seen == 1 else '\\n') + m['content']}}
  {%- elif m['role'] == 'user' %}
    {%- set state.after_tool = false -%}
    {{'[user]' + m['content']}}
  {%- elif m['role'] == 'assistant' and 'calls' in m %}
    {%- for call in m['calls'] %}{{ call['name'] }}{%- endfor %}
  {%- elif m['role'] == 'assistant' %}
    {%- if not state.after_tool %}
      {%- set said = m['content'] -%}
      {% if '</think>' in said %}
        {% set said = said.split('</think>')[-1] %}
      {% endif %}
      {{'[model]' + said + '[.]'}}
    {%- else %}
      {{'[/results]' + m['content'] + '[.]'}}
      {%- set state.after_tool = false -%}
    {%- endif %}
  {%- endif %}
{%- endfor -%}
{% if state.after_tool %}{{'[/results]'}}{% endif %}{% if not state.after_tool and add_generation_prompt %}{{'[model]'}}{% endif %}"""

STYLES["thinking kept after the last question"] = """\
{%- if tools %}
    {{- '<system>' }}
    {%- for tool in tools %}{{- "\\n" ~ tool | tojson }}{%- endfor %}
{%- elif messages and messages[0].role == 'system' %}
    {{- '<system>\\n' + messages[0].content + '</system>\\n' }}
{%- endif %}
{%- set found = namespace(looking=true, at=messages|length - 1) %}
{%- for m in messages[::-1] %}
    {%- if found.looking and m.role == "user" and not(m.content.startswith('<result>') and m.content.endswith('</result>')) %}
        {%- set found.looking = false %}
        {%- set found.at = (messages|length - 1) - loop.index0 %}
    {%- endif %}
{%- endfor %}
{%- for m in messages %}
    {%- set said = m.content if m.content is string else '' %}
    {%- if m.role == "assistant" %}
        {%- set thought = m.reasoning if m.reasoning is string else '' %}
        {%- if not thought and '</think>' in said %}
            {%- set thought = said.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
            {%- set said = said.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {{- '<assistant>\\n' }}
        {%- if loop.index0 > found.at and (thought or loop.last) %}
            {{- '<think>\\n' + thought.strip('\\n') + '\\n</think>\\n\\n' + said.lstrip('\\n') }}
        {%- else %}
            {{- said }}
        {%- endif %}
        {%- if m.calls %}
            {%- for call in m.calls %}{{- call.arguments | tojson }}{%- endfor %}
        {%- endif %}
        {{- '</assistant>\\n' }}
    {%- elif m.role == "tool" %}
        {{- '<user>' if loop.first or (messages[loop.index0 - 1].role != "tool") }}
        {{- '\\n<result>\\n' ~ said ~ '\\n</result>' }}
        {{- '</user>\\n' if loop.last or (messages[loop.index0 + 1].role != "tool") }}
    {%- elif (m.role == "user") or (m.role == "system" and not loop.first) %}
        {{- '<' + m.role + '>\\n' + said + '</' + m.role + '>' + '\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<assistant>\\n' }}
    {%- if thinking is defined and thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}"""

STYLES["macros"] = """\
{%- macro turn(role, text, last=false) -%}
<{{ role }}>{{ text | trim }}{% if not last %}</{{ role }}>{% endif %}

{% endmacro -%}
{%- macro upper_role(m) %}{{ m.role | upper }}{% endmacro -%}
{%- macro every(list) -%}
  {%- for each in list %}{{ caller(each, loop.index) }}{% endfor -%}
{%- endmacro -%}
{%- macro pick(first) %}{{ first }}|{{ varargs | join('+') }}|{{ kwargs | dictsort }}{% endmacro -%}
{%- for m in messages %}
{{- turn(upper_role(m), m.content, last=loop.last and not add_generation_prompt) }}
{%- endfor %}
{%- call(m, n) every(messages) %}[{{ n }}:{{ m.content | length }}]{% endcall %}
{{ pick(1, 2, 3, b=4, a='x') }}
{{- turn('ASSISTANT', '', true) if add_generation_prompt }}"""

STYLES["generation marks"] = """\
{% for message in messages %}
{% if message.role == 'assistant' %}
{% generation %}
<A>{{ message.content }}{{ eos_token }}
{% endgeneration %}
{% else %}
<{{ message.role[0] | upper }}>{{ message.content }}
{% endif %}
{% endfor %}
{%- if add_generation_prompt -%}<A>{%- endif -%}"""

STYLES["loops that break"] = """\
{%- for m in messages if m.role != 'system' -%}
{%- if loop.index > 4 %}{{ '...' }}{% break %}{% endif -%}
{%- if not m.content %}{% continue %}{% endif -%}
{{ loop.index }}/{{ loop.length }}{{ ' first' if loop.first }}{{ ' last' if loop.last }}:{{ m.content }};
{%- if loop.previtem is defined and loop.previtem.role == m.role %} again{% endif %}
{%- if loop.nextitem is defined %} next {{ loop.nextitem.role }}{% endif %} {{ loop.cycle('odd', 'even') }} {{ loop.revindex }}
{% else -%}
nothing to say
{%- endfor -%}
{{ loop is defined }}"""

STYLES["raw, comments and signs"] = """\
  {# a comment
   over lines #}
{% raw %}  {{ as }} {% it %} {# is #}
{% endraw %}
    {%+ if true %} kept{% endif +%}

  {{- '' }} x
\t{% if messages %}
   y
\t{% endif %}
 {%- raw -%}   {%  {{ }} {%- endraw -%}   z
{{ messages | length }}
 {#- c -#}   w   {% set a = 1 %} v {{ a }}   
{{ "{{" }} '}}' {{ '%}' }}
"""

STYLES["filters on lists"] = """\
{%- set users = messages | selectattr('role', 'equalto', 'user') | list -%}
{{ users | length }} of {{ messages | count }}: {{ users | map(attribute='content') | map('trim') | join(' / ') }}
{{ messages | map(attribute='role') | unique | sort | join(',') }}
{{ (messages | last).content if messages else 'none' }}|{{ (messages | first).role if messages }}
{{ messages | rejectattr('role', 'in', ['user', 'system']) | map(attribute='content') | map('length') | list }}
{{ messages | tojson }}
{{ messages[:2] | tojson(indent=2) }}
{% for m in messages | reverse %}{{ m.role[:1] }}{% endfor %}
{% for role, text in messages | map('dictsort') | map('last') %}{{ role }}={{ text }};{% endfor %}
{% for key, value in (messages[0] if messages else {}).items() %}{{ key }}:{{ value }},{% endfor %}
"""

STYLES["block sets"] = """\
{%- set intro %}
Roles: {% for m in messages %}{{ m.role }}{{ ', ' if not loop.last }}{% endfor %}
{% endset -%}
{%- set shouted | upper | replace('A', '4') %}{{ intro }}{% endset -%}
{{ intro | trim }}#{{ shouted }}#
{%- filter trim | indent(2) %}
  {% for m in messages %}
{{ m.content }}
  {% endfor %}
{% endfilter %}
{%- with a = 1, b = messages | length %}{{ a + b }}{% endwith %}{{ a is defined }}"""
