/*
 * ask - the commands that ask once and print: fleets, plan, history, receipt.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/api.h"
#include "cli/pick.h"
#include "cli/render.h"
#include "wire/spec.h"

#define PAGE_MAX (64u * 1024 * 1024)

static int print_page(struct str *page)
{
    int code = cli_print(page);

    str_free(page);
    return code;
}

static const char *word(const struct cli *cli, int i)
{
    return i < cli->args.word_count ? cli->args.words[i] : NULL;
}

/* ---- fleets ---- */

static int read_all(struct str *ret, FILE *file)
{
    char buf[8192];
    size_t n;

    while ((n = fread(buf, 1, sizeof(buf), file)) > 0)
        str_add_bytes(ret, buf, n);
    return ferror(file) ? ERR_IO : str_error(ret);
}

/* The file is checked here too: line and column are told without a controller. */
int cli_fleet_read(struct cli *cli, const char *name, struct str *ret, struct spec *spec)
{
    FILE *file = word_is(name, "-") ? stdin : fopen(name, "re");
    struct errmsg m = { 0 };
    int r;

    if (!file)
        return cli_fail(cli,
                        errno == ENOENT   ? EXITS_NOT_FOUND
                        : errno == EACCES ? EXITS_NOT_ALLOWED
                                          : EXITS_FAILED,
                        "cannot read the fleet file '%s': %s", name, strerror(errno));
    r = read_all(ret, file);
    if (file != stdin)
        fclose(file);
    if (r == ERR_TOO_LARGE)
        return cli_fail(cli, EXITS_FAILED, "the fleet file '%s' is larger than %d kB", name, SPEC_BYTES_MAX / 1024);
    if (r < 0)
        return cli_fail(cli, EXITS_FAILED, "cannot read the fleet file '%s': %s", name,
                        errno ? strerror(errno) : err_text(r));
    r = spec_from_yaml(spec, word_is(name, "-") ? "standard input" : name, ret->buf, ret->len, &m);
    return r < 0 ? cli_fail(cli, EXITS_FAILED, "%s", m.text) : EXITS_DONE;
}

int cmd_fleet_apply(struct cli *cli)
{
    struct str file = STR_WITH_MAX(SPEC_BYTES_MAX), page = STR_WITH_MAX(PAGE_MAX);
    struct spec *spec = calloc(1, sizeof(*spec));
    struct api_reply reply = { 0 };
    char path[FLEET_PATH_MAX], escaped[200];
    int code;

    if (!spec)
        return cli_fail(cli, EXITS_FAILED, "out of memory");
    code = cli_fleet_read(cli, cli->args.words[0], &file, spec);
    if (code == EXITS_DONE) {
        path_escape(escaped, sizeof(escaped), spec->fleet);
        snprintf(path, sizeof(path), "/v1/fleets/%s", escaped);
        code = cli_call_text(cli, &reply, "PUT", path, "application/yaml", file.buf, file.len);
    }
    if (code == EXITS_DONE && cli->json && reply.json)
        code = cli_print_json(reply.json);
    else if (code == EXITS_DONE && !cli->json) {
        cli_say(cli, "fleet %s %s", spec->fleet, reply.status == 201 ? "created" : "changed");
        render_findings(&page, &cli->out, pick(reply.json, "findings"));
        code = cli_print(&page);
    }
    api_reply_free(&reply);
    str_free(&file);
    str_free(&page);
    free(spec);
    return code;
}

int cmd_fleet_list(struct cli *cli)
{
    struct str page = STR_WITH_MAX(PAGE_MAX);
    struct api_reply reply;
    int code = cli_call(cli, &reply, "GET", "/v1/fleets", NULL);

    if (code != EXITS_DONE)
        return code;
    if (cli->json)
        code = cli_print_json(reply.json);
    else {
        render_fleets(&page, &cli->out, reply.json);
        code = print_page(&page);
    }
    api_reply_free(&reply);
    return code;
}

int cmd_fleet_show(struct cli *cli)
{
    char fleet[FLEET_PATH_MAX], name[FLEET_PATH_MAX], path[FLEET_PATH_MAX + 32];
    struct str page = STR_WITH_MAX(PAGE_MAX);
    struct spec *spec = NULL;
    struct api_reply reply;
    struct errmsg m = { 0 };
    int code = cli_fleet(cli, word(cli, 0), fleet, name);

    if (code != EXITS_DONE)
        return code;
    snprintf(path, sizeof(path), "/v1/fleets/%s", fleet);
    code = cli_call(cli, &reply, "GET", path, NULL);
    if (code != EXITS_DONE)
        return code;
    spec = calloc(1, sizeof(*spec));
    if (cli->json)
        code = cli_print_json(pick(reply.json, "spec"));
    else if (!spec || spec_from_json(spec, pick(reply.json, "spec"), &m) < 0 || spec_to_yaml(&page, spec, &m) < 0)
        code = cli_fail(cli, EXITS_FAILED, "the controller's answer is no fleet file: %s", m.text);
    else
        code = cli_print(&page);
    str_free(&page);
    free(spec);
    api_reply_free(&reply);
    return code;
}

/* Who deletes a fleet stops its members: that is said before, and typed or given as --yes. */
static int delete_ask(struct cli *cli, const char *name, const char *path)
{
    struct api_reply reply;
    char typed[128];
    int code;

    if (cli->args.times[OPT_YES])
        return EXITS_DONE;
    if (!isatty(STDIN_FILENO) || !cli->err.terminal)
        return cli_fail(cli, EXITS_USAGE, "nobody can be asked here: give --yes to delete fleet %s", name);
    code = cli_call(cli, &reply, "GET", path, NULL);
    if (code != EXITS_DONE)
        return code;
    fprintf(stderr, "%s has %zu blue and %zu green members. They deliver nothing any more once it is deleted.\n", name,
            pick_count(reply.json, "colors.blue.members"), pick_count(reply.json, "colors.green.members"));
    api_reply_free(&reply);
    fprintf(stderr, "Type its name to delete it: ");
    if (!fgets(typed, sizeof(typed), stdin))
        typed[0] = 0;
    typed[strcspn(typed, "\r\n")] = 0;
    return word_is(typed, name) ? EXITS_DONE : cli_fail(cli, EXITS_FAILED, "nothing was deleted");
}

int cmd_fleet_delete(struct cli *cli)
{
    char fleet[FLEET_PATH_MAX], name[FLEET_PATH_MAX], path[FLEET_PATH_MAX + 32];
    struct api_reply reply;
    int code = cli_fleet(cli, word(cli, 0), fleet, name);

    if (code != EXITS_DONE)
        return code;
    snprintf(path, sizeof(path), "/v1/fleets/%s", fleet);
    code = delete_ask(cli, name, path);
    if (code == EXITS_DONE)
        code = cli_call(cli, &reply, "DELETE", path, NULL);
    if (code != EXITS_DONE)
        return code;
    cli_say(cli, "fleet %s deleted", name);
    api_reply_free(&reply);
    return EXITS_DONE;
}

/* ---- history, receipt ---- */

int cmd_history(struct cli *cli)
{
    char fleet[FLEET_PATH_MAX], name[FLEET_PATH_MAX], path[FLEET_PATH_MAX + 32];
    struct str page = STR_WITH_MAX(PAGE_MAX);
    struct api_reply reply;
    struct errmsg m = { 0 };
    int64_t limit = 0;
    int code;

    if (cli->args.value[OPT_LIMIT] && parse_int64(&limit, cli->args.value[OPT_LIMIT], 1, 100000, &m) < 0)
        return cli_fail(cli, EXITS_USAGE, "--limit: %s", m.text);
    code = cli_fleet(cli, word(cli, 0), fleet, name);
    if (code != EXITS_DONE)
        return code;
    snprintf(path, sizeof(path), "/v1/fleets/%s/switches", fleet);
    code = cli_call(cli, &reply, "GET", path, NULL);
    if (code != EXITS_DONE)
        return code;
    if (cli->json) {
        json_t *list = json_object_get(reply.json, "switches");

        while (limit > 0 && json_array_size(list) > (size_t)limit)
            json_array_remove(list, json_array_size(list) - 1);
        code = cli_print_json(reply.json);
    } else {
        render_history(&page, &cli->out, reply.json, (int)limit, clock_unix_ms());
        code = print_page(&page);
    }
    api_reply_free(&reply);
    return code;
}

static bool all_digits(const char *text)
{
    return *text && strspn(text, "0123456789") == strlen(text);
}

/* Number of the newest operation. */
static int newest_number(struct cli *cli, const char *fleet, const char *name, int64_t *ret)
{
    char path[FLEET_PATH_MAX + 32];
    struct api_reply reply;
    int code;

    snprintf(path, sizeof(path), "/v1/fleets/%s/switches", fleet);
    code = cli_call(cli, &reply, "GET", path, NULL);
    if (code != EXITS_DONE)
        return code;
    *ret = pick_int(json_array_get(pick(reply.json, "switches"), 0), "number", 0);
    api_reply_free(&reply);
    return *ret > 0 ? EXITS_DONE
                    : cli_fail(cli, EXITS_NOT_FOUND, "nothing was done to fleet %s yet: there is no receipt", name);
}

static int receipt_verify(struct cli *cli, const char *fleet, int64_t number)
{
    char path[FLEET_PATH_MAX + 64];
    struct str page = STR_WITH_MAX(PAGE_MAX);
    struct api_reply reply;
    int code;
    bool agrees;

    snprintf(path, sizeof(path), "/v1/fleets/%s/switches/%lld/verify", fleet, (long long)number);
    code = cli_call(cli, &reply, "GET", path, NULL);
    if (code != EXITS_DONE)
        return code;
    agrees = pick_bool(reply.json, "agrees", false);
    if (cli->json)
        code = cli_print_json(reply.json);
    else {
        str_add(&page, "\n");
        render_verify(&page, &cli->out, reply.json);
        code = print_page(&page);
    }
    api_reply_free(&reply);
    return code == EXITS_DONE && !agrees ? EXITS_FAILED : code;
}

int cmd_receipt(struct cli *cli)
{
    char fleet[FLEET_PATH_MAX], name[FLEET_PATH_MAX], path[FLEET_PATH_MAX + 64];
    const char *first = word(cli, 0), *second = word(cli, 1);
    struct str page = STR_WITH_MAX(PAGE_MAX);
    struct api_reply reply;
    struct errmsg m = { 0 };
    int64_t number = 0;
    int code;

    if (first && !second && all_digits(first)) { /* 'baton receipt 6' where there is one fleet */
        second = first;
        first = NULL;
    }
    if (second && parse_int64(&number, second, 1, UINT32_MAX, &m) < 0)
        return cli_fail(cli, EXITS_USAGE, "NUMBER: %s", m.text);
    code = cli_fleet(cli, first, fleet, name);
    if (code == EXITS_DONE && number == 0)
        code = newest_number(cli, fleet, name, &number);
    if (code != EXITS_DONE)
        return code;
    snprintf(path, sizeof(path), "/v1/fleets/%s/switches/%lld/receipt", fleet, (long long)number);
    code = cli_call(cli, &reply, "GET", path, NULL);
    if (code != EXITS_DONE)
        return code;
    if (!cli->json) {
        render_receipt(&page, &cli->out, reply.json);
        code = print_page(&page);
    } else if (!cli->args.times[OPT_VERIFY]) {
        code = cli_print_json(reply.json);
    }
    api_reply_free(&reply);
    if (code == EXITS_DONE && cli->args.times[OPT_VERIFY])
        code = receipt_verify(cli, fleet, number);
    return code;
}
