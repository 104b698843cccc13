"""The service a team would write by itself: FastAPI over an implicit model in memory.

    INTERACTIONS=FILE.csr uvicorn recommend_service:app --workers 1 --loop uvloop --http httptools

The model is fitted at the start. GET /recommend/{user}?n=20 leaves out what the user has met, as Sona does.
"""

import os

from fastapi import FastAPI, HTTPException
from implicit.cpu.als import AlternatingLeastSquares

from interactions import read

met = read(os.environ["INTERACTIONS"])
model = AlternatingLeastSquares(factors=64, iterations=10, random_state=1, num_threads=2)
model.fit(met, show_progress=False)
model.num_threads = 1
app = FastAPI()


@app.get("/recommend/{user}")
async def recommend(user: int, n: int = 20):
    if not 0 <= user < met.shape[0]:
        raise HTTPException(404)
    items, scores = model.recommend(user, met[user], N=n, filter_already_liked_items=True)
    return {"user": user, "items": items.tolist(), "scores": scores.tolist()}
