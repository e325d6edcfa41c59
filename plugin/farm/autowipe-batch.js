// Flamenco 3 job type: one task a clip of an AutoWipe batch, then one that finishes it. flamenco_submit.py fills it in.

const JOB_TYPE = {
    label: "AutoWipe batch",
    settings: [
        { key: "tasks", type: "string", required: true, description: "JSON list of tasks, each with name and command" },
        { key: "finish", type: "string", required: true, description: "JSON list of the words of the last command" },
    ],
};

function compileJob(job) {
    const finish = taskOf("finish", JSON.parse(job.settings.finish));
    for (const entry of JSON.parse(job.settings.tasks)) {
        const task = taskOf(entry.name, entry.command);
        finish.addDependency(task);
        job.addTask(task);
    }
    job.addTask(finish);
}

function taskOf(name, words) {
    const task = author.Task(name, "misc");
    task.addCommand(author.Command("exec", { exe: words[0], args: words.slice(1) }));
    return task;
}
