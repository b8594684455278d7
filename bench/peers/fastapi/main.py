"""The todo backend as a FastAPI service: the peer of `cargo xtask bench services`.

It has the endpoints that are compared, the same table in the same database, and publishes as FastAPI services with Dapr
commonly do: after the write, with a client made for each call. There is no outbox, so it does less per write.
"""

import json
import os
import uuid
from contextlib import asynccontextmanager
from datetime import datetime, timezone

import asyncpg
import httpx
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

DATABASE_URL = os.environ["DATABASE_URL"]
DAPR_HTTP_ENDPOINT = os.environ["DAPR_HTTP_ENDPOINT"]
PRIORITIES = ["none", "low", "medium", "high", "urgent"]
FAR = datetime(9999, 1, 1, tzinfo=timezone.utc)


class TaskCreate(BaseModel):
    user_id: str
    title: str
    notes: str | None = None
    priority: str = "none"
    tags: list[str] = []
    due_at: datetime | None = None


class Task(BaseModel):
    id: uuid.UUID
    user_id: str
    title: str
    notes: str | None
    status: str
    priority: str
    tags: list[str]
    due_at: datetime | None
    time_zone: str
    completed_at: datetime | None
    version: int
    created_at: datetime
    updated_at: datetime


class TaskList(BaseModel):
    items: list[Task]
    next_cursor: str | None


@asynccontextmanager
async def lifespan(app: FastAPI):
    async with asyncpg.create_pool(DATABASE_URL, min_size=2, max_size=12) as pool:
        app.state.pool = pool
        yield


app = FastAPI(lifespan=lifespan)


def to_task(row: asyncpg.Record) -> Task:
    return Task(
        **{name: row[name] for name in ("id", "user_id", "title", "notes", "tags", "due_at", "time_zone")},
        **{name: row[name] for name in ("completed_at", "version", "created_at", "updated_at")},
        status="completed" if row["completed_at"] else "open",
        priority=PRIORITIES[row["priority"]],
    )


async def publish_task_event(event_type: str, task: Task):
    event = {
        "event_type": event_type,
        "task_id": str(task.id),
        "user_id": task.user_id,
        "timestamp": datetime.now(timezone.utc).isoformat(),
        "task_data": json.loads(task.model_dump_json()),
    }
    async with httpx.AsyncClient() as client:
        answer = await client.post(f"{DAPR_HTTP_ENDPOINT}/v1.0/publish/kafka-pubsub/peer-events", json=event)
        answer.raise_for_status()


@app.get("/livez")
async def livez():
    return {}


@app.post("/api/tasks", status_code=201)
async def create_task(task: TaskCreate) -> Task:
    row = await app.state.pool.fetchrow(
        """INSERT INTO peer_tasks (id, user_id, title, notes, priority, tags, due_at, due_sort, created_at, updated_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now(), now()) RETURNING *""",
        uuid.uuid4(),
        task.user_id,
        task.title,
        task.notes,
        PRIORITIES.index(task.priority),
        task.tags,
        task.due_at,
        task.due_at or FAR,
    )
    created = to_task(row)
    await publish_task_event("created", created)
    return created


@app.get("/api/tasks/{task_id}")
async def get_task(task_id: uuid.UUID, user_id: str) -> Task:
    row = await app.state.pool.fetchrow(
        "SELECT * FROM peer_tasks WHERE id = $1 AND user_id = $2 AND deleted_at IS NULL", task_id, user_id
    )
    if row is None:
        raise HTTPException(status_code=404)
    return to_task(row)


@app.get("/api/tasks")
async def list_tasks(user_id: str, limit: int = 50) -> TaskList:
    rows = await app.state.pool.fetch(
        "SELECT * FROM peer_tasks WHERE user_id = $1 AND deleted_at IS NULL ORDER BY due_sort, id LIMIT $2",
        user_id,
        limit,
    )
    return TaskList(items=[to_task(row) for row in rows], next_cursor=None)
