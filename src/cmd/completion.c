/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shell completion. The shells call back `proa __complete WORD…` with the words so far; candidates come from the
 * tables, so that completion is never behind the commands.
 */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "cmd/command.h"

static const char bash_script[] =
    "_proa() {\n"
    "\tlocal IFS=$'\\n'\n"
    "\tCOMPREPLY=($(proa __complete -- \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null))\n"
    "\t[ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- \"${COMP_WORDS[COMP_CWORD]}\"))\n"
    "}\n"
    "complete -F _proa proa\n";
static const char zsh_script[] = "#compdef proa\n"
				 "_proa() {\n"
				 "\tlocal -a candidates\n"
				 "\tcandidates=(${(f)\"$(proa __complete -- ${words[2,CURRENT]} 2>/dev/null)\"})\n"
				 "\tif (( ${#candidates} )); then compadd -- $candidates; else _files; fi\n"
				 "}\n"
				 "compdef _proa proa\n";
static const char fish_script[] =
    "complete -c proa -a '(proa __complete -- (commandline -opc)[2..] (commandline -ct))'\n";

static int run(const struct args *a)
{
	static const struct {
		const char *shell, *script;
	} scripts[] = {{"bash", bash_script}, {"zsh", zsh_script}, {"fish", fish_script}};

	for (size_t i = 0; i < ARRAY_SIZE(scripts); i++)
		if (str_eq(a->operands[0], scripts[i].shell)) {
			fputs(scripts[i].script, stdout);
			return 0;
		}
	return command_fail("no completion for the shell \"%s\": bash, zsh and fish are known", a->operands[0]);
}

static const struct flag no_flags[] = {{0}};

const struct command command_completion = {
    .name = "completion",
    .summary = "Print a script that completes proa's commands in a shell",
    .about = "Print a script that completes proa's commands and flags in bash, zsh or fish.",
    .example = "  source <(proa completion bash)",
    .operands = "bash|zsh|fish",
    .operands_min = 1,
    .operands_max = 1,
    .flags = no_flags,
    .run = run,
};

static void offer(const char *prefix, const char *dashes, const char *word)
{
	size_t n = strlen(prefix), d = strlen(dashes);

	if (strncmp(prefix, dashes, MIN_OF(n, d)) == 0 && (n <= d || strncmp(prefix + d, word, n - d) == 0))
		printf("%s%s\n", dashes, word);
}

/* Operands: the words after "proa", the last one being completed. */
static int complete(const struct args *a)
{
	const struct command *c = &command_root;
	int i = 0, last = a->n_operands - 1;
	const char *word = last >= 0 ? a->operands[last] : "";

	for (; i < last && c->commands; i++)
		for (const struct command *const *k = c->commands; *k; k++)
			if (strcmp((*k)->name, a->operands[i]) == 0) {
				c = *k;
				break;
			}
	for (const struct command *const *k = c->commands; k && *k; k++)
		if (!(*k)->hidden)
			offer(word, "", (*k)->name);
	if (str_eq(c->name, "completion") && word[0] != '-') {
		offer(word, "", "bash");
		offer(word, "", "zsh");
		offer(word, "", "fish");
	}
	if (word[0] == '-') {
		for (const struct flag *f = c->flags; f && f->name; f++)
			offer(word, "--", f->name);
		offer(word, "--", "help");
	}
	return 0;
}

const struct command command_complete = {
    .name = "__complete",
    .about = "Print what the last of the given words can become; for shells.",
    .operands = "-- WORD...",
    .operands_max = OPERANDS_MAX,
    .flags = no_flags,
    .hidden = true,
    .run = complete,
};
